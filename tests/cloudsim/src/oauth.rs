//! Login: the authorize page and the token endpoint (genesys-protocol 1.2).
//!
//! The state is [`Logins`]; the doors are [`authorize`], [`choose`] and [`token`]. The login host
//! is the simulator's own address.

mod doors;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use doors::{authorize, choose, token};

/// How long a code can be exchanged.
const CODE_LIFE: Duration = Duration::from_mins(5);

/// An OAuth client as an administrator makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct OAuthClient {
    /// `client_id`.
    pub id: String,
    /// Its secret; `None` for a public client, which proves itself by PKCE alone.
    pub secret: Option<String>,
    /// Where codes may go; empty: anywhere.
    pub redirect_uris: Vec<String>,
    /// Life of its access tokens, seconds.
    pub token_seconds: u64,
    /// Whether the code grant gives refresh tokens. Public clients expect none.
    pub refresh: bool,
}

impl Default for OAuthClient {
    fn default() -> Self {
        Self {
            id: String::new(),
            secret: None,
            redirect_uris: Vec::new(),
            token_seconds: 86_399,
            refresh: true,
        }
    }
}

/// The public client that is always there.
pub const PKCE_CLIENT: &str = "sim-pkce-client";
/// The client with a secret that is always there.
pub const SECRET_CLIENT: &str = "sim-secret-client";
/// Its secret.
pub const CLIENT_SECRET: &str = "sim-client-secret";

/// What the next visit to the authorize page comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "camelCase")]
pub enum LoginScript {
    /// The page is shown, and somebody chooses.
    #[default]
    Page,
    /// This user logs in at once, each time.
    Allow {
        /// Id or name; empty: the only one.
        #[serde(default)]
        user: String,
    },
    /// The browser comes back with this error, each time.
    Deny {
        /// An error of RFC 6749 section 4.1.2.1.
        #[serde(default = "access_denied")]
        error: String,
    },
}

fn access_denied() -> String {
    "access_denied".into()
}

/// What an authorize request asked for.
#[derive(Debug, Clone)]
struct Asked {
    client: String,
    redirect_uri: String,
    challenge: Option<String>,
}

/// A code on its way to be exchanged.
#[derive(Debug, Clone)]
struct Code {
    asked: Asked,
    user: String,
    expires: Duration,
}

/// Clients, codes and refresh tokens.
#[derive(Debug)]
pub(crate) struct Logins {
    pub script: LoginScript,
    clients: BTreeMap<String, OAuthClient>,
    codes: BTreeMap<String, Code>,
    /// User and client of each refresh token that is still good.
    refresh: BTreeMap<String, (String, String)>,
}

/// An error of RFC 6749 section 5.2, with the status it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenError {
    pub status: u16,
    pub error: &'static str,
    pub why: String,
}

/// What a grant gives: whose token, for how long, and whether it can be refreshed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// `None`: a client alone.
    pub user: Option<String>,
    pub client: String,
    pub life: Duration,
    pub refresh: Option<String>,
}

/// A token request as it came.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenRequest {
    pub grant_type: String,
    pub code: Option<String>,
    pub redirect_uri: Option<String>,
    pub code_verifier: Option<String>,
    pub client_id: Option<String>,
    pub refresh_token: Option<String>,
    /// Id and secret of the Basic header.
    #[serde(skip)]
    pub basic: Option<(String, String)>,
}

impl Default for Logins {
    fn default() -> Self {
        let mut logins = Self {
            script: LoginScript::default(),
            clients: BTreeMap::new(),
            codes: BTreeMap::new(),
            refresh: BTreeMap::new(),
        };
        logins.add(OAuthClient {
            id: PKCE_CLIENT.into(),
            refresh: false,
            ..OAuthClient::default()
        });
        logins.add(OAuthClient {
            id: SECRET_CLIENT.into(),
            secret: Some(CLIENT_SECRET.into()),
            ..OAuthClient::default()
        });
        logins
    }
}

impl Logins {
    /// Makes a client, or changes it.
    pub fn add(&mut self, client: OAuthClient) {
        self.clients.insert(client.id.clone(), client);
    }

    /// A code for a user who has logged in.
    fn issue_code(&mut self, now: Duration, asked: Asked, user: &str) -> String {
        let code = format!("SIM-CODE-{}", Uuid::new_v4().simple());
        self.codes.insert(
            code.clone(),
            Code {
                asked,
                user: user.to_owned(),
                expires: now + CODE_LIFE,
            },
        );
        code
    }

    /// Forgets every refresh token of a user, as when an administrator logs the user out.
    pub fn revoke_refresh(&mut self, user: &str) {
        self.refresh.retain(|_, (whose, _)| whose != user);
    }

    /// Decides a token request.
    ///
    /// # Errors
    /// [`TokenError`] as RFC 6749 section 5.2 and RFC 7636 section 4.6 have it.
    pub fn grant(&mut self, now: Duration, request: &TokenRequest) -> Result<Grant, TokenError> {
        let client = self.client(request)?;
        match request.grant_type.as_str() {
            "authorization_code" => self.by_code(now, request, &client),
            "refresh_token" => self.by_refresh_token(request, &client),
            "client_credentials" if client.secret.is_some() => Ok(Grant {
                user: None,
                life: Duration::from_secs(client.token_seconds),
                client: client.id,
                refresh: None,
            }),
            "client_credentials" => {
                Err(refused("unauthorized_client", "this client has no secret"))
            }
            other => Err(refused(
                "unsupported_grant_type",
                format!("the grant type {other:?} is not supported"),
            )),
        }
    }

    /// Who asks: by the Basic header, or as a public client by its id.
    fn client(&self, request: &TokenRequest) -> Result<OAuthClient, TokenError> {
        let wrong = |why: &str| TokenError {
            status: 401,
            error: "invalid_client",
            why: why.into(),
        };
        let (id, secret) = match (&request.basic, &request.client_id) {
            (Some((id, secret)), _) => (id, Some(secret)),
            (None, Some(id)) => (id, None),
            (None, None) => return Err(wrong("neither a Basic header nor a client_id")),
        };
        let client = self
            .clients
            .get(id)
            .ok_or_else(|| wrong("no such client"))?;
        match (&client.secret, secret) {
            (None, None) => Ok(client.clone()),
            (Some(known), Some(secret)) if known == secret => Ok(client.clone()),
            (Some(_), None) => Err(wrong("this client has a secret: a Basic header is needed")),
            (None, Some(_)) => Err(wrong("this client has no secret: no Basic header")),
            (Some(_), Some(_)) => Err(wrong("the secret is wrong")),
        }
    }

    fn by_code(
        &mut self,
        now: Duration,
        request: &TokenRequest,
        client: &OAuthClient,
    ) -> Result<Grant, TokenError> {
        // A code is good for one attempt (RFC 6749 section 4.1.2).
        let code = request
            .code
            .as_ref()
            .and_then(|code| self.codes.remove(code));
        let bad = |why: &str| refused("invalid_grant", why);
        let code = code.ok_or_else(|| bad("this code does not exist, or was used"))?;
        if code.expires <= now {
            return Err(bad("this code has expired"));
        }
        if code.asked.client != client.id {
            return Err(bad("this code was issued to another client"));
        }
        if request.redirect_uri.as_deref() != Some(&code.asked.redirect_uri) {
            return Err(bad("redirect_uri is not that of the authorize request"));
        }
        match (&code.asked.challenge, &request.code_verifier) {
            (Some(challenge), Some(verifier)) if *challenge == s256(verifier) => {}
            (Some(_), Some(_)) => return Err(bad("code_verifier does not fit the challenge")),
            (Some(_), None) => return Err(bad("code_verifier is needed")),
            (None, _) if client.secret.is_none() => {
                return Err(bad("a public client needs a code_challenge"));
            }
            (None, _) => {}
        }
        let refresh = client
            .refresh
            .then(|| self.issue_refresh(&code.user, &client.id));
        Ok(Grant {
            user: Some(code.user),
            client: client.id.clone(),
            life: Duration::from_secs(client.token_seconds),
            refresh,
        })
    }

    fn by_refresh_token(
        &mut self,
        request: &TokenRequest,
        client: &OAuthClient,
    ) -> Result<Grant, TokenError> {
        let old = request.refresh_token.as_deref().unwrap_or_default();
        let good = self
            .refresh
            .get(old)
            .is_some_and(|(_, whose)| *whose == client.id);
        let Some((user, _)) = good.then(|| self.refresh.remove(old)).flatten() else {
            let why = "this refresh token does not exist, or was used";
            return Err(refused("invalid_grant", why));
        };
        let refresh = Some(self.issue_refresh(&user, &client.id));
        Ok(Grant {
            user: Some(user),
            client: client.id.clone(),
            life: Duration::from_secs(client.token_seconds),
            refresh,
        })
    }

    fn issue_refresh(&mut self, user: &str, client: &str) -> String {
        let token = format!("SIM-REFRESH-{}", Uuid::new_v4().simple());
        self.refresh
            .insert(token.clone(), (user.to_owned(), client.to_owned()));
        token
    }
}

fn refused(error: &'static str, why: impl Into<String>) -> TokenError {
    TokenError {
        status: 400,
        error,
        why: why.into(),
    }
}

/// RFC 7636 section 4.2: the unpadded URL-safe Base64 of the verifier's SHA-256.
fn s256(verifier: &str) -> String {
    let provider = rustls::crypto::ring::default_provider();
    let suites = provider.cipher_suites.iter();
    let digest = suites
        .filter_map(rustls::SupportedCipherSuite::tls13)
        .map(|suite| suite.common.hash_provider)
        .find(|hash| hash.output_len() == 32)
        .map(|hash| hash.hash(verifier.as_bytes()));
    digest.map_or_else(String::new, |digest| {
        URL_SAFE_NO_PAD.encode(digest.as_ref())
    })
}

/// RFC 7636 section 4.1: 43 to 128 unreserved characters; the challenge has 43.
fn is_challenge(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|one| one.is_ascii_alphanumeric() || b"-_".contains(&one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const BACK: &str = "http://phone/back";

    fn asked(client: &str, challenge: Option<&str>) -> Asked {
        Asked {
            client: client.into(),
            redirect_uri: BACK.into(),
            challenge: challenge.map(str::to_owned),
        }
    }

    fn request(code: &str) -> TokenRequest {
        TokenRequest {
            grant_type: "authorization_code".into(),
            code: Some(code.into()),
            redirect_uri: Some(BACK.into()),
            ..TokenRequest::default()
        }
    }

    fn error(result: Result<Grant, TokenError>) -> (u16, &'static str) {
        let error = result.unwrap_err();
        (error.status, error.error)
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        assert_eq!(s256(VERIFIER), CHALLENGE);
        assert!(
            is_challenge(CHALLENGE) && !is_challenge("short") && !is_challenge(&"=".repeat(43))
        );
    }

    #[test]
    fn a_public_client_needs_the_right_verifier_once() {
        let mut logins = Logins::default();
        for (verifier, good) in [
            (Some(VERIFIER), true),
            (Some("wrong"), false),
            (None, false),
        ] {
            let code = logins.issue_code(Duration::ZERO, asked(PKCE_CLIENT, Some(CHALLENGE)), "U");
            let request = TokenRequest {
                client_id: Some(PKCE_CLIENT.into()),
                code_verifier: verifier.map(str::to_owned),
                ..request(&code)
            };
            let first = logins.grant(Duration::ZERO, &request);
            assert_eq!(first.is_ok(), good, "{first:?}");
            if let Ok(grant) = first {
                assert_eq!((grant.user.as_deref(), grant.refresh), (Some("U"), None));
            }
            assert_eq!(
                error(logins.grant(Duration::ZERO, &request)),
                (400, "invalid_grant")
            );
        }
    }

    #[test]
    fn codes_expire_and_keep_to_their_client_and_address() {
        let mut logins = Logins::default();
        let basic = Some((SECRET_CLIENT.to_owned(), CLIENT_SECRET.to_owned()));
        let mut try_code = |now: u64, client: &str, change: &dyn Fn(&mut TokenRequest)| {
            let code = logins.issue_code(Duration::ZERO, asked(client, None), "U");
            let mut request = TokenRequest {
                basic: basic.clone(),
                ..request(&code)
            };
            change(&mut request);
            logins.grant(Duration::from_secs(now), &request)
        };
        assert!(
            try_code(299, SECRET_CLIENT, &|_| {})
                .unwrap()
                .refresh
                .is_some()
        );
        assert_eq!(
            error(try_code(300, SECRET_CLIENT, &|_| {})).1,
            "invalid_grant"
        );
        assert_eq!(error(try_code(0, PKCE_CLIENT, &|_| {})).1, "invalid_grant");
        let elsewhere = |request: &mut TokenRequest| request.redirect_uri = Some("http://x".into());
        assert_eq!(
            error(try_code(0, SECRET_CLIENT, &elsewhere)).1,
            "invalid_grant"
        );
        let wrong =
            |request: &mut TokenRequest| request.basic = Some((SECRET_CLIENT.into(), "x".into()));
        assert_eq!(
            error(try_code(0, SECRET_CLIENT, &wrong)),
            (401, "invalid_client")
        );
        let nobody = |request: &mut TokenRequest| request.basic = None;
        assert_eq!(
            error(try_code(0, SECRET_CLIENT, &nobody)),
            (401, "invalid_client")
        );
    }

    #[test]
    fn refresh_tokens_rotate() {
        let mut logins = Logins::default();
        let code = logins.issue_code(Duration::ZERO, asked(SECRET_CLIENT, None), "U");
        let basic = Some((SECRET_CLIENT.to_owned(), CLIENT_SECRET.to_owned()));
        let first = TokenRequest {
            basic: basic.clone(),
            ..request(&code)
        };
        let old = logins
            .grant(Duration::ZERO, &first)
            .unwrap()
            .refresh
            .unwrap();
        let refresh = |token: &str| TokenRequest {
            grant_type: "refresh_token".into(),
            refresh_token: Some(token.into()),
            basic: basic.clone(),
            ..TokenRequest::default()
        };
        let grant = logins.grant(Duration::ZERO, &refresh(&old)).unwrap();
        assert_eq!(grant.user.as_deref(), Some("U"));
        assert_eq!(
            error(logins.grant(Duration::ZERO, &refresh(&old))),
            (400, "invalid_grant")
        );
        let newest = grant.refresh.unwrap();
        logins.revoke_refresh("U");
        assert_eq!(
            error(logins.grant(Duration::ZERO, &refresh(&newest))),
            (400, "invalid_grant")
        );
    }

    #[test]
    fn client_credentials_have_no_user() {
        let mut logins = Logins::default();
        let request = TokenRequest {
            grant_type: "client_credentials".into(),
            basic: Some((SECRET_CLIENT.to_owned(), CLIENT_SECRET.to_owned())),
            ..TokenRequest::default()
        };
        assert_eq!(logins.grant(Duration::ZERO, &request).unwrap().user, None);
        let unknown = TokenRequest {
            grant_type: "password".into(),
            ..request
        };
        assert_eq!(
            error(logins.grant(Duration::ZERO, &unknown)),
            (400, "unsupported_grant_type")
        );
    }
}
