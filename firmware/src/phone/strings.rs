//! Every word the phone shows, in one table per language.

use super::io::{Notice, Wish};
use super::list::ListKind;
use super::settings::AudioPath;
use crate::genesys::model::{CallState, RecordingState};
use crate::softphone::{SdkError, SdkErrorType};

/// The words of one language. A soft key has room for about seven letters, a line for about twenty.
#[derive(Debug)]
#[allow(missing_docs, reason = "named after what they say")]
pub(super) struct Strings {
    pub product: &'static str,
    pub ready: &'static str,
    pub cannot_start: &'static str,
    pub unknown_caller: &'static str,

    pub new_call: &'static str,
    pub dial_a_number: &'static str,
    pub hash_dials: &'static str,
    pub lift_to_dial: &'static str,
    pub calling: &'static str,
    pub setting_up: &'static str,
    pub far_end_rings: &'static str,
    pub incoming_call: &'static str,
    pub answering: &'static str,
    talking: Recorded,
    muted: Recorded,
    conference: Recorded,
    pub held: &'static str,
    pub lift_to_resume: &'static str,

    pub line_waiting: &'static str,
    pub line_held: &'static str,
    pub line_talking: &'static str,
    pub line_calling: &'static str,
    pub line_elsewhere: &'static str,

    pub call_ended: &'static str,
    pub call_not_answered: &'static str,
    pub caller_gone: &'static str,
    pub answered_elsewhere: &'static str,
    pub call_failed: &'static str,
    pub nothing_dialed: &'static str,
    pub lay_down: &'static str,
    pub held_call_ended: &'static str,
    pub no_answer_from_cloud: &'static str,

    pub not_answered: &'static str,
    pub not_rejected: &'static str,
    pub not_ended: &'static str,
    pub not_muted: &'static str,
    pub not_unmuted: &'static str,
    pub not_held: &'static str,
    pub not_resumed: &'static str,
    pub tones_not_sent: &'static str,
    pub log_in_again: &'static str,
    pub no_connection: &'static str,
    pub nothing_to_redial: &'static str,
    pub number_full: &'static str,

    pub rings_elsewhere: &'static str,
    pub transfer_to: &'static str,
    pub hash_transfers: &'static str,
    pub add_to_call: &'static str,
    pub hash_adds: &'static str,
    pub transferring: &'static str,
    pub transferred: &'static str,
    pub asking: &'static str,
    pub consulting: &'static str,
    pub with_caller: &'static str,
    pub all_together: &'static str,
    pub waits: &'static str,
    pub people: &'static str,
    pub back_with_caller: &'static str,
    pub no_call_to_transfer: &'static str,
    pub no_call_to_join: &'static str,
    pub not_a_transfer_target: &'static str,
    pub not_transferred: &'static str,
    pub nobody_asked: &'static str,
    pub not_cancelled: &'static str,
    pub not_switched: &'static str,
    pub joining: &'static str,
    pub not_joined: &'static str,
    pub adding: &'static str,
    pub not_added: &'static str,
    pub removing: &'static str,
    pub not_removed: &'static str,
    pub not_paused: &'static str,
    pub not_recording: &'static str,
    pub wrap_up: &'static str,
    pub wrapping_up: &'static str,
    pub skip: &'static str,
    pub no_wrap_up_codes: &'static str,
    pub not_wrapped_up: &'static str,
    pub parties: &'static str,
    pub party_rings: &'static str,
    pub party_talks: &'static str,

    pub speed_dials: &'static str,
    pub voicemail: &'static str,
    pub station: &'static str,
    pub station_ours: &'static str,
    pub station_taken: &'static str,
    pub ring_here: &'static str,
    pub log_out: &'static str,
    pub stay: &'static str,
    pub about: &'static str,
    pub menu: &'static str,
    pub choose_station: &'static str,
    pub log_out_question: &'static str,
    pub please_log_in: &'static str,
    pub scan_or_open: &'static str,
    pub looking_for_stations: &'static str,
    pub taking_station: &'static str,
    pub no_stations: &'static str,
    pub no_speed_dial: &'static str,
    pub stations_not_found: &'static str,
    pub station_not_taken: &'static str,
    pub not_ringing_here: &'static str,
    pub not_logged_out: &'static str,

    pub missed_one: &'static str,
    pub missed_many: &'static str,

    pub volume_handset: &'static str,
    pub volume_speaker: &'static str,
    pub volume_headset: &'static str,
    pub volume_ring: &'static str,

    pub soft_answer: &'static str,
    pub soft_reject: &'static str,
    pub soft_quiet: &'static str,
    pub soft_dial: &'static str,
    pub soft_delete: &'static str,
    pub soft_cancel: &'static str,
    pub soft_end: &'static str,
    pub soft_hold: &'static str,
    pub soft_resume: &'static str,
    pub soft_mute: &'static str,
    pub soft_unmute: &'static str,
    pub soft_swap: &'static str,
    pub soft_new: &'static str,
    pub soft_redial: &'static str,
    pub soft_dials: &'static str,
    pub soft_menu: &'static str,
    pub soft_select: &'static str,
    pub soft_up: &'static str,
    pub soft_down: &'static str,
    pub soft_back: &'static str,
    pub soft_stations: &'static str,
    pub soft_take_back: &'static str,
    pub soft_voicemail: &'static str,
    pub soft_skip: &'static str,
    pub soft_blind: &'static str,
    pub soft_consult: &'static str,
    pub soft_complete: &'static str,
    pub soft_conference: &'static str,
    pub soft_join: &'static str,
    pub soft_add: &'static str,
    pub soft_parties: &'static str,
    pub soft_remove: &'static str,
    pub soft_pause_recording: &'static str,
    pub soft_resume_recording: &'static str,
    pub soft_more: &'static str,

    notices: Notices,
}

/// A heading without a recording, with one, and with a paused one.
type Recorded = [&'static str; 3];

/// Heading and hint of each [`Notice`].
#[derive(Debug)]
struct Notices {
    connecting: (&'static str, &'static str),
    login_needed: (&'static str, &'static str),
    cloud_unreachable: (&'static str, &'static str),
    tls_trouble: (&'static str, &'static str),
    no_station: (&'static str, &'static str),
    station_taken: (&'static str, &'static str),
    station_not_webrtc: (&'static str, &'static str),
    station_missing: (&'static str, &'static str),
    station_unknown: (&'static str, &'static str),
    stations_unread: (&'static str, &'static str),
    sound_missing: (&'static str, &'static str),
    sound_busy: (&'static str, &'static str),
    sound_trouble: (&'static str, &'static str),
    keys_trouble: (&'static str, &'static str),
    no_network: (&'static str, &'static str),
    clock_unset: (&'static str, &'static str),
    state_trouble: (&'static str, &'static str),
    state_in_memory: (&'static str, &'static str),
    state_damaged: (&'static str, &'static str),
    updating: (&'static str, &'static str),
    update_waiting: (&'static str, &'static str),
    update_failed: (&'static str, &'static str),
    update_undone: (&'static str, &'static str),
}

/// English.
pub(super) static ENGLISH: Strings = Strings {
    product: "Offhook",
    ready: "Ready",
    cannot_start: "Cannot start",
    unknown_caller: "Unknown caller",

    new_call: "New call",
    dial_a_number: "Enter a number",
    hash_dials: "# calls now",
    lift_to_dial: "Lift the handset to call",
    calling: "Calling",
    setting_up: "Setting up the call...",
    far_end_rings: "Ringing...",
    incoming_call: "Incoming call",
    answering: "Answering...",
    talking: ["On a call", "Call, recorded", "Call, not recorded"],
    muted: ["On a call, muted", "Muted, recorded", "Muted, not recorded"],
    conference: ["Conference", "Conference, recorded", "Conference, not rec."],
    held: "On hold",
    lift_to_resume: "Lift to go on talking",

    line_waiting: "is calling",
    line_held: "on hold",
    line_talking: "on a call",
    line_calling: "being called",
    line_elsewhere: "on another device",

    call_ended: "Call ended",
    call_not_answered: "No answer",
    caller_gone: "Caller hung up",
    answered_elsewhere: "Taken elsewhere",
    call_failed: "Call failed",
    nothing_dialed: "No number entered",
    lay_down: "Please hang up",
    held_call_ended: "The call on hold has ended",
    no_answer_from_cloud: "The cloud did not set up the call",

    not_answered: "The call could not be answered",
    not_rejected: "The call could not be rejected",
    not_ended: "Not ended yet, please try again",
    not_muted: "The cloud could not mute the call",
    not_unmuted: "The cloud could not unmute the call",
    not_held: "The call could not be put on hold",
    not_resumed: "The call could not be resumed",
    tones_not_sent: "The keys could not be sent",
    log_in_again: "Please log in again",
    no_connection: "Cloud not reachable",
    nothing_to_redial: "No number to call again yet",
    number_full: "No number is longer than this",

    rings_elsewhere: "Rings elsewhere",
    transfer_to: "Transfer to",
    hash_transfers: "# transfers now",
    add_to_call: "Add to the call",
    hash_adds: "# calls now",
    transferring: "Transferring...",
    transferred: "Transferred",
    asking: "Calling to ask...",
    consulting: "Asking first",
    with_caller: "Back with the caller",
    all_together: "All three talk",
    waits: " waits",
    people: " people",
    back_with_caller: "Back with the caller",
    no_call_to_transfer: "No call to transfer",
    no_call_to_join: "No call to join",
    not_a_transfer_target: "Nobody can be reached by that",
    not_transferred: "Not transferred",
    nobody_asked: "Nobody could be asked",
    not_cancelled: "Could not be cancelled",
    not_switched: "Could not switch",
    joining: "Joining the calls...",
    not_joined: "The calls could not be joined",
    adding: "Calling, one moment...",
    not_added: "Nobody could be added",
    removing: "Removing...",
    not_removed: "Could not be removed",
    not_paused: "The recording goes on",
    not_recording: "The recording stays paused",
    wrap_up: "Wrap-up code",
    wrapping_up: "Saving the code...",
    skip: "Skip",
    no_wrap_up_codes: "Wrap up in Genesys Cloud",
    not_wrapped_up: "The code was not saved",
    parties: "In the conference",
    party_rings: "is being called",
    party_talks: "",

    speed_dials: "Speed dials",
    voicemail: "Voicemail",
    station: "Station",
    station_ours: "In use by this phone",
    station_taken: "In use by somebody else",
    ring_here: "Ring here",
    log_out: "Log out",
    stay: "Stay logged in",
    about: "About",
    menu: "Menu",
    choose_station: "Choose a station",
    log_out_question: "Log out?",
    please_log_in: "Please log in",
    scan_or_open: "Scan the code or open this address",
    looking_for_stations: "Looking for stations...",
    taking_station: "Taking the station...",
    no_stations: "You have no WebRTC phone yet",
    no_speed_dial: "No speed dial on this key",
    stations_not_found: "Stations cannot be listed",
    station_not_taken: "The station cannot be used",
    not_ringing_here: "Still rings elsewhere, try again",
    not_logged_out: "Could not log out, try again",

    missed_one: "Missed call: ",
    missed_many: " missed calls, last: ",

    volume_handset: "Handset volume",
    volume_speaker: "Speaker volume",
    volume_headset: "Headset volume",
    volume_ring: "Ring volume",

    soft_answer: "Answer",
    soft_reject: "Reject",
    soft_quiet: "Quiet",
    soft_dial: "Call",
    soft_delete: "Delete",
    soft_cancel: "Cancel",
    soft_end: "End",
    soft_hold: "Hold",
    soft_resume: "Resume",
    soft_mute: "Mute",
    soft_unmute: "Unmute",
    soft_swap: "Swap",
    soft_new: "New",
    soft_redial: "Redial",
    soft_dials: "Dials",
    soft_menu: "Menu",
    soft_select: "Select",
    soft_up: "Up",
    soft_down: "Down",
    soft_back: "Back",
    soft_stations: "Choose",
    soft_take_back: "Take it",
    soft_voicemail: "To mail",
    soft_skip: "Skip",
    soft_blind: "Blind",
    soft_consult: "Consult",
    soft_complete: "Finish",
    soft_conference: "All",
    soft_join: "Join",
    soft_add: "Add",
    soft_parties: "Parties",
    soft_remove: "Remove",
    soft_pause_recording: "Rec off",
    soft_resume_recording: "Rec on",
    soft_more: "More",

    notices: Notices {
        connecting: ("Connecting...", "This takes a few seconds"),
        login_needed: ("Please log in", "The login is missing or expired"),
        cloud_unreachable: ("No connection", "Trying again; check the network"),
        tls_trouble: ("Not secure", "Check the clock and certificates"),
        no_station: ("No station", "Choose one: menu, Station"),
        station_taken: ("Station taken", "In use elsewhere; take it back?"),
        station_not_webrtc: ("Wrong station", "Choose a WebRTC phone instead"),
        station_missing: ("No station", "You have no WebRTC phone yet"),
        station_unknown: ("Wrong station", "cloud.station is not yours"),
        stations_unread: ("No station", "The list cannot be read"),
        sound_missing: ("No sound", "Not found: "),
        sound_busy: ("No sound", "In use elsewhere: "),
        sound_trouble: ("No sound", "Does not work: "),
        keys_trouble: ("Keys do not work", "Trying again; run offhook check"),
        no_network: ("No network", "Check the cable; no address yet"),
        clock_unset: ("Time not known", "Waiting for it from the network"),
        state_trouble: ("Nothing is kept", "Card full, read-only or broken"),
        state_in_memory: ("Nothing is kept", "The card's state part is missing"),
        state_damaged: ("Memory damaged", "Starts afresh; old file is kept"),
        updating: ("Updating", "You can make calls; done: "),
        update_waiting: ("Update ready", "Restarts when nobody calls"),
        update_failed: ("No update", ""),
        update_undone: ("Update undone", "The old version is back"),
    },
};

impl Strings {
    /// Heading and hint of a notice.
    pub fn notice(&self, notice: &Notice) -> (&'static str, String) {
        let words = &self.notices;
        let percents;
        let ((heading, hint), device) = match notice {
            Notice::Connecting => (words.connecting, ""),
            Notice::LoginNeeded => (words.login_needed, ""),
            Notice::CloudUnreachable => (words.cloud_unreachable, ""),
            Notice::TlsTrouble => (words.tls_trouble, ""),
            Notice::NoStation => (words.no_station, ""),
            Notice::StationTaken => (words.station_taken, ""),
            Notice::StationNotWebRtc => (words.station_not_webrtc, ""),
            Notice::StationMissing => (words.station_missing, ""),
            Notice::StationUnknown => (words.station_unknown, ""),
            Notice::StationsUnread => (words.stations_unread, ""),
            Notice::SoundMissing { device } => (words.sound_missing, device.as_str()),
            Notice::SoundBusy { device } => (words.sound_busy, device.as_str()),
            Notice::SoundTrouble { device } => (words.sound_trouble, device.as_str()),
            Notice::KeysTrouble => (words.keys_trouble, ""),
            Notice::NoNetwork => (words.no_network, ""),
            Notice::ClockUnset => (words.clock_unset, ""),
            Notice::StateTrouble => (words.state_trouble, ""),
            Notice::StateInMemory => (words.state_in_memory, ""),
            Notice::StateDamaged => (words.state_damaged, ""),
            Notice::Updating { percent } => {
                percents = format!("{percent} %");
                (words.updating, percents.as_str())
            }
            Notice::UpdateWaiting => (words.update_waiting, ""),
            Notice::UpdateFailed { reason } => (words.update_failed, *reason),
            Notice::UpdateUndone => (words.update_undone, ""),
        };
        (heading, format!("{hint}{device}"))
    }

    /// What the user can make of `error`; `otherwise` if nothing more than that it failed.
    pub fn failure(&self, error: &SdkError, otherwise: &'static str) -> &'static str {
        match error.kind {
            SdkErrorType::InvalidToken => self.log_in_again,
            SdkErrorType::Initialization => self.no_connection,
            _ => otherwise,
        }
    }

    /// Heading of a call.
    pub fn talking(&self, recording: Option<RecordingState>) -> &'static str {
        self.talking[recorded(recording)]
    }

    /// Heading of a muted call.
    pub fn muted(&self, recording: Option<RecordingState>) -> &'static str {
        self.muted[recorded(recording)]
    }

    /// Heading of a conference.
    pub fn conference(&self, recording: Option<RecordingState>) -> &'static str {
        self.conference[recorded(recording)]
    }

    /// What a party of a conference does.
    pub fn party(&self, state: CallState) -> &'static str {
        match state {
            CallState::Connected | CallState::Hold => self.party_talks,
            _ => self.party_rings,
        }
    }

    /// Heading of a list.
    pub fn list(&self, kind: ListKind) -> &'static str {
        match kind {
            ListKind::Menu => self.menu,
            ListKind::SpeedDials => self.speed_dials,
            ListKind::Stations => self.choose_station,
            ListKind::LogOut => self.log_out_question,
            ListKind::About => self.about,
            ListKind::Parties => self.parties,
            ListKind::WrapUp => self.wrap_up,
        }
    }

    /// What a wish that failed is told as.
    pub fn refused(&self, wish: &Wish) -> &'static str {
        match wish {
            Wish::ListStations => self.stations_not_found,
            Wish::UseStation(_) | Wish::TakeStationBack => self.station_not_taken,
            Wish::RingHere => self.not_ringing_here,
            Wish::LogOut => self.not_logged_out,
        }
    }

    /// Which volume is being set; none is the ring's.
    pub fn volume(&self, path: Option<AudioPath>) -> &'static str {
        match path {
            Some(AudioPath::Handset) => self.volume_handset,
            Some(AudioPath::Speaker) => self.volume_speaker,
            Some(AudioPath::Headset) => self.volume_headset,
            None => self.volume_ring,
        }
    }
}

/// Which of [`Recorded`].
fn recorded(recording: Option<RecordingState>) -> usize {
    match recording {
        Some(RecordingState::Active) => 1,
        Some(RecordingState::Paused) => 2,
        _ => 0,
    }
}
