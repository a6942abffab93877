use super::{Folder, Health, NoRoom, Store};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    word: String,
    count: u32,
}

fn word(word: &str) -> impl FnOnce(&mut Kept) {
    move |kept| word.clone_into(&mut kept.word)
}

const FILE: &str = "state.json";

fn open(folder: &tempfile::TempDir) -> Store<Kept> {
    Store::open(folder.path(), FILE)
}

#[test]
fn what_is_kept_is_there_after_a_restart_and_for_the_phones_user_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    let store = open(&folder);
    assert_eq!(store.value(), Kept::default());
    assert!(!path.exists(), "nothing to keep yet");
    store.update(word("secret")).expect("written");
    assert_eq!(open(&folder).value().word, "secret");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(names, 1, "no file is left beside it");
}

#[test]
fn there_is_room_or_it_is_said_why_not() {
    let folder = tempfile::tempdir().expect("a folder");
    super::room(folder.path()).expect("room");
    let full = |error: &NoRoom| matches!(error, NoRoom::Io { error, .. } if error.kind() == ErrorKind::StorageFull);
    let error = super::room(Path::new("/proc")).expect_err("no disk");
    assert!(full(&error), "{error}");
    super::room(&folder.path().join("missing")).expect_err("no folder");
}

/// A phone without its state partition writes into memory without an error, and is logged out by each restart.
#[test]
fn a_folder_in_memory_is_no_place_to_keep_anything() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let error = super::room(folder.path()).expect_err("nothing stays");
    assert!(matches!(error, NoRoom::InMemory(_)), "{error}");
    assert!(error.to_string().contains("across a restart"), "{error}");
}

#[test]
fn a_damaged_file_is_kept_aside_and_the_defaults_are_used() {
    for content in ["", "{", "[1]", "{\"count\":-1}", "\u{0}\u{0}\u{0}"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        fs::write(&path, content).expect("written");
        let store = open(&folder);
        assert_eq!(store.value(), Kept::default(), "{content:?}");
        assert_eq!(
            store
                .place
                .as_ref()
                .expect("kept")
                .folder
                .health()
                .borrow()
                .damaged,
            1
        );
        let aside = folder.path().join("state.json.corrupt");
        assert_eq!(fs::read_to_string(aside).expect("kept"), content);
        store.update(word("new")).expect("written");
        assert_eq!(open(&folder).value().word, "new");
    }
}

#[test]
fn fields_of_a_newer_phone_and_missing_ones_are_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    fs::write(&path, r#"{"word":"a","colour":"red"}"#).expect("written");
    let expected = Kept {
        word: "a".to_owned(),
        count: 0,
    };
    assert_eq!(open(&folder).value(), expected);
}

#[test]
fn a_change_holds_although_it_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::<Kept>::open(&*folder.path().join("missing"), FILE);
    assert!(store.update(word("kept")).is_err());
    assert_eq!(store.value().word, "kept");
}

/// There is room, and yet it fails: told, tried again, and taken back when it works.
#[test]
fn what_could_not_be_written_is_written_later() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(dir.path());
    let is_unsaved = || folder.health().borrow().is_unsaved;
    let (store, other) = (
        Store::<Kept>::open(&folder, FILE),
        Store::<Kept>::open(&folder, "other.json"),
    );
    store.update(word("before")).expect("written");
    let beside = dir.path().join("state.json.new");
    std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
    let error = store.update(word("after")).expect_err("not written");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    super::room(dir.path()).expect("it is not seen beforehand");
    other.update(word("other")).expect("written");
    folder.retry();
    assert!(is_unsaved(), "the other file makes no difference");
    assert_eq!(open(&dir).value().word, "before");
    fs::remove_file(&beside).expect("mended");
    folder.retry();
    assert_eq!(*folder.health().borrow(), Health::default());
    assert_eq!(open(&dir).value().word, "after");
    assert!(!store.reread(), "it is the same value");
    // By the next change instead.
    std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
    store.update(word("again")).expect_err("not written");
    fs::remove_file(&beside).expect("mended");
    store.update(word("at last")).expect("written");
    assert!(!is_unsaved());
    assert!(
        !format!("{store:?} {folder:?}").contains("[97"),
        "bytes are shown"
    );
}

#[test]
fn another_programs_file_is_not_replaced_by_what_could_not_be_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(dir.path());
    let store = Store::<Kept>::open(&folder, FILE);
    let beside = dir.path().join("state.json.new");
    std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
    store.update(word("ours")).expect_err("not written");
    fs::remove_file(&beside).expect("mended");
    open(&dir).update(word("theirs")).expect("written");
    assert!(store.reread());
    folder.retry();
    assert_eq!(open(&dir).value().word, "theirs");
    assert!(!folder.health().borrow().is_unsaved);
}

#[test]
fn what_another_program_writes_is_noticed_and_our_own_writing_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    let (ours, theirs) = (open(&folder), open(&folder));
    ours.update(word("ours")).expect("written");
    assert!(!ours.reread());
    assert!(theirs.reread());
    theirs.update(word("theirs")).expect("written");
    assert!(ours.reread() && !ours.reread());
    assert_eq!(ours.value().word, "theirs");
    fs::remove_file(&path).expect("removed");
    assert!(ours.reread());
    assert_eq!(ours.value(), Kept::default());
}

#[test]
fn an_unchanged_value_is_not_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    let store = open(&folder);
    store.update(word("same")).expect("written");
    fs::remove_file(&path).expect("removed");
    store.update(word("same")).expect("nothing to do");
    assert!(!path.exists());
}
