//! What can go wrong with a login, in an administrator's words.

use crate::device::Private;
use crate::genesys::rest::RestError;
use std::path::PathBuf;
use std::time::Duration;

/// Why a login did not work. Texts hold no code, token, secret or name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// No OAuth client.
    #[error(
        "nobody can log in here because cloud.client_id is empty: make an OAuth client for the phone in Genesys Cloud \
         and write its id there"
    )]
    NotConfigured,
    /// The configuration names a token file, and that wins.
    #[error(
        "the access token comes from cloud.token_file: replace that file, or remove the key to log in by the page"
    )]
    TokenFile,
    /// The client secret cannot be used.
    #[error("cloud.client_secret_file = {}: {detail}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The login host's address cannot be made.
    #[error("the address of the login page cannot be made: {detail}: check cloud.login_host")]
    Address {
        /// Why.
        detail: String,
    },
    /// The system has no randomness.
    #[error("the system gives no randomness: restart the phone")]
    Randomness,
    /// What came back belongs to no login that was begun here in the last 15 minutes.
    #[error("this login was not begun at this phone, or more than 15 minutes ago: begin again")]
    Unknown,
    /// What came back or was pasted holds no code.
    #[error("there is no login code in it: copy the whole address of the page the login ended at")]
    NoCode,
    /// The login page said no.
    #[error("the login was refused ({error}): begin again, or ask your administrator")]
    Denied {
        /// OAuth's word, e.g. `access_denied`.
        error: String,
        /// The cloud's own text, for the page.
        description: Option<Private>,
    },
    /// The login host said no to the code or the refresh token.
    #[error(
        "the login host answered {status}{}: begin again; if it stays so, check cloud.client_id, its secret and its \
         redirect URI",
        if error.is_empty() { String::new() } else { format!(" ({error})") }
    )]
    Refused {
        /// HTTP status.
        status: u16,
        /// OAuth's word, e.g. `invalid_grant`; may be empty.
        error: String,
        /// The cloud's own text, for the page.
        description: Option<Private>,
    },
    /// The login host cannot be reached, or has trouble.
    #[error("the login host does not answer as it should ({0}): try again")]
    Unavailable(RestError),
    /// A reply that is none.
    #[error("the login host's answer cannot be used: {detail}")]
    Reply {
        /// What is wrong with it.
        detail: String,
    },
    /// It worked, but will not survive a restart; or the tokens of a log-out are still on the disk.
    #[error("the login cannot be written to the state folder ({detail}): check state.dir")]
    NotSaved {
        /// The system's words.
        detail: String,
    },
}

/// Why a person must log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginNeed {
    /// Nobody has logged in yet.
    Nobody,
    /// Somebody logged out.
    LoggedOut,
    /// The tokens cannot be renewed and end soon; until then everything works.
    Expiring {
        /// For so long, when it was said.
        within: Duration,
    },
    /// The cloud refused the tokens, and they could not be renewed.
    Refused,
}
