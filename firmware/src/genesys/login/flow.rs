//! The steps of a login as values: the address for the browser, what it brings back, and the request for tokens
//! (RFC 6749 4.1, RFC 7636, genesys-protocol 1.2). No I/O, no clock, no randomness of its own.

use super::LoginError;
use crate::device::Private;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::Url;
use url::form_urlencoded::{Serializer, parse as parse_form};

/// Randomness one login takes, bytes: 48 for the verifier, 16 for the state.
pub(super) const RANDOM_BYTES: usize = 64;
/// A person finds the page, types a password and a second factor within this time.
pub(super) const ATTEMPT_LIFE: Duration = Duration::from_mins(15);
/// What a person pastes is an address of some hundred characters.
const MAX_RETURNED: usize = 8 * 1024;
/// Longest code, state or error word taken.
const MAX_WORD: usize = 2 * 1024;

/// The OAuth client the phone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub id: String,
    /// With a secret the client is confidential (Basic authentication, refresh tokens); without, it proves itself by
    /// PKCE.
    pub secret: Option<Private>,
    /// URL of `/oauth/authorize`.
    pub authorize: String,
}

/// A login that was begun. Kept in the state folder: the code may come back after a restart, or in another process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attempt {
    /// Ties the browser's return to this attempt.
    state: Private,
    /// PKCE verifier, 64 characters; `None` with a client secret.
    verifier: Option<Private>,
    redirect_uri: String,
    /// Seconds since 1970.
    begun: u64,
}

/// What the browser brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Returned {
    pub code: Private,
    pub state: Option<Private>,
}

/// `POST /oauth/token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// Form fields, encoded.
    pub form: Private,
    /// Client id and secret of a confidential client.
    pub basic: Option<(String, Private)>,
}

/// Begins a login: what to remember, and the address for the browser.
pub(super) fn begin(
    client: &Client,
    redirect_uri: &str,
    random: &[u8; RANDOM_BYTES],
    now: u64,
) -> Result<(Attempt, String), LoginError> {
    let (verifier, state) = random.split_at(48);
    let attempt = Attempt {
        state: Private::new(URL_SAFE_NO_PAD.encode(state)),
        verifier: client
            .secret
            .is_none()
            .then(|| Private::new(URL_SAFE_NO_PAD.encode(verifier))),
        redirect_uri: redirect_uri.to_owned(),
        begun: now,
    };
    let mut url = Url::parse(&client.authorize).map_err(|error| LoginError::Address {
        detail: error.to_string(),
    })?;
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", &client.id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", attempt.state.expose());
        if let Some(verifier) = &attempt.verifier {
            query
                .append_pair("code_challenge", &challenge(verifier.expose()))
                .append_pair("code_challenge_method", "S256");
        }
    }
    Ok((attempt, url.into()))
}

/// RFC 7636 4.2, S256.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(
        &ring::digest::SHA256,
        verifier.as_bytes(),
    ))
}

impl Attempt {
    /// Whether the browser may still return to it. One begun in the future belongs to a clock that was wrong.
    pub(super) fn is_alive(&self, now: u64) -> bool {
        now.checked_sub(self.begun)
            .is_some_and(|age| age <= ATTEMPT_LIFE.as_secs())
    }

    /// Whether `returned` belongs to it. The comparison takes the same time wherever the two differ.
    pub(super) fn is_answered_by(&self, state: &Private) -> bool {
        let (ours, theirs) = (self.state.expose().as_bytes(), state.expose().as_bytes());
        ours.len() == theirs.len()
            && ours
                .iter()
                .zip(theirs)
                .fold(0, |diff, (a, b)| diff | (a ^ b))
                == 0
    }
}

/// Reads the query of the page the browser was sent back to (`code=..&state=..`, or `error=..`).
pub(super) fn read_query(query: &str) -> Result<Returned, LoginError> {
    if query.len() > MAX_RETURNED {
        return Err(LoginError::NoCode);
    }
    let (mut code, mut state, mut error, mut description) = (None, None, None, None);
    for (name, value) in parse_form(query.trim_start_matches('?').as_bytes()) {
        let field = match &*name {
            "code" => &mut code,
            "state" => &mut state,
            "error" => &mut error,
            "error_description" => &mut description,
            _ => continue,
        };
        // The first one counts; a second is nobody's.
        if field.is_none() && value.len() <= MAX_WORD {
            *field = Some(Private::new(value.into_owned()));
        }
    }
    if let Some(error) = error {
        return Err(LoginError::Denied {
            error: word(error.expose()),
            description,
        });
    }
    match code.filter(|code| !code.is_empty()) {
        Some(code) => Ok(Returned { code, state }),
        None => Err(LoginError::NoCode),
    }
}

/// Reads what a person pasted: the whole address the browser ended at, its query, or the code alone.
pub(super) fn read_pasted(text: &str) -> Result<Returned, LoginError> {
    let text = text.trim();
    if let Some((_, query)) = text.split_once('?') {
        // A fragment is the browser's own.
        return read_query(query.split('#').next().unwrap_or_default());
    }
    if text.contains("code=") || text.contains("error=") {
        return read_query(text);
    }
    let is_code = (1..=MAX_WORD).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains("://");
    if is_code {
        Ok(Returned {
            code: Private::new(text),
            state: None,
        })
    } else {
        Err(LoginError::NoCode)
    }
}

/// An error word of OAuth, for messages: its alphabet only (RFC 6749 4.1.2.1), and short.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
    text.chars().filter(is_plain).take(64).collect()
}

/// The request that turns a code into tokens.
pub(super) fn exchange(client: &Client, attempt: &Attempt, code: &Private) -> TokenRequest {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.expose())
        .append_pair("redirect_uri", &attempt.redirect_uri);
    if let Some(verifier) = &attempt.verifier {
        form.append_pair("code_verifier", verifier.expose());
    }
    request(client, form)
}

/// The request that turns a refresh token into the next tokens.
pub(super) fn refresh(client: &Client, token: &Private) -> TokenRequest {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", token.expose());
    request(client, form)
}

/// A confidential client shows its secret by Basic authentication, a public one names itself in the form.
fn request(client: &Client, mut form: Serializer<'_, String>) -> TokenRequest {
    if client.secret.is_none() {
        form.append_pair("client_id", &client.id);
    }
    TokenRequest {
        form: Private::new(form.finish()),
        basic: client
            .secret
            .clone()
            .map(|secret| (client.id.clone(), secret)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn client(secret: Option<&str>) -> Client {
        Client {
            id: "the id".to_owned(),
            secret: secret.map(Private::from),
            authorize: "https://login.mypurecloud.com/oauth/authorize".to_owned(),
        }
    }

    fn fields(form: &str) -> HashMap<String, String> {
        parse_form(form.as_bytes()).into_owned().collect()
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_public_client_logs_in_with_pkce() {
        let random = std::array::from_fn(|n| n as u8);
        let (attempt, url) = begin(
            &client(None),
            "http://phone:8321/login/callback",
            &random,
            5,
        )
        .expect("begun");
        let (page, query) = url.split_once('?').expect("a query");
        assert_eq!(page, "https://login.mypurecloud.com/oauth/authorize");
        let query = fields(query);
        let verifier = attempt.verifier.as_ref().expect("a verifier").expose();
        assert!((43..=128).contains(&verifier.len()), "{}", verifier.len());
        assert!(
            verifier
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        );
        assert!(!url.contains(verifier), "the verifier stays here");
        assert_eq!(query["client_id"], "the id");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["redirect_uri"], "http://phone:8321/login/callback");
        assert_eq!(query["state"], attempt.state.expose());
        assert_eq!(query["code_challenge"], challenge(verifier));
        assert_eq!(query["code_challenge_method"], "S256");

        let request = exchange(&client(None), &attempt, &Private::from("C&1"));
        assert_eq!(request.basic, None);
        let form = fields(request.form.expose());
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["code"], "C&1");
        assert_eq!(form["code_verifier"], verifier);
        assert_eq!(form["client_id"], "the id");
        assert_eq!(form["redirect_uri"], "http://phone:8321/login/callback");
    }

    #[test]
    fn a_confidential_client_shows_its_secret_in_the_header_only() {
        let client = client(Some("s3cret"));
        let (attempt, url) = begin(&client, "http://p/", &[7; RANDOM_BYTES], 5).expect("begun");
        assert!(!url.contains("code_challenge") && !url.contains("s3cret"));
        let basic = Some(("the id".to_owned(), Private::from("s3cret")));
        for request in [
            exchange(&client, &attempt, &Private::from("C")),
            refresh(&client, &Private::from("R")),
        ] {
            assert_eq!(request.basic, basic);
            let form = request.form.expose();
            for word in ["s3cret", "client_id", "code_verifier"] {
                assert!(!form.contains(word), "{form}");
            }
        }
        let form = refresh(&client, &Private::from("R+1"));
        assert_eq!(
            form.form.expose(),
            "grant_type=refresh_token&refresh_token=R%2B1"
        );
    }

    #[test]
    fn two_logins_have_nothing_in_common() {
        let begin =
            |fill| begin(&client(None), "http://p/", &[fill; RANDOM_BYTES], 5).expect("begun");
        let ((one, _), (other, _)) = (begin(1), begin(2));
        assert!(one.verifier != other.verifier && one.state != other.state);
        assert!(one.is_answered_by(&one.state) && !one.is_answered_by(&other.state));
        assert!(!one.is_answered_by(&Private::default()));
    }

    #[test]
    fn an_attempt_lives_a_quarter_of_an_hour() {
        let (attempt, _) =
            begin(&client(None), "http://p/", &[1; RANDOM_BYTES], 1000).expect("begun");
        for (now, alive) in [(999, false), (1000, true), (1900, true), (1901, false)] {
            assert_eq!(attempt.is_alive(now), alive, "{now}");
        }
    }

    #[test]
    fn what_comes_back_is_read_in_every_form() {
        for text in [
            "http://phone:8321/login/callback?code=C%2F1&state=S",
            "https://elsewhere.example/?state=S&code=C%2F1#frag",
            "  ?code=C%2F1&state=S\n",
            "code=C%2F1&state=S&code=second",
        ] {
            let returned = read_pasted(text).expect(text);
            assert_eq!(returned.code.expose(), "C/1", "{text}");
            assert_eq!(returned.state.expect("a state").expose(), "S", "{text}");
        }
        let alone = read_pasted(" C-1_x \n").expect("a code");
        assert_eq!((alone.code.expose(), alone.state), ("C-1_x", None));
    }

    #[test]
    fn what_holds_no_code_is_refused() {
        let long = "x".repeat(9000);
        for text in [
            "",
            " ",
            "?",
            "?code=",
            "http://phone:8321/login/callback",
            "two words",
            "?state=S",
            &long,
            &format!("?code={long}"),
            "c\u{f6}de",
        ] {
            let error = read_pasted(text).expect_err("no code");
            assert_eq!(error, LoginError::NoCode);
        }
        // A bare word in the browser's query is no code: only a person may give one without state.
        assert_eq!(read_query("C1"), Err(LoginError::NoCode));
    }

    #[test]
    fn a_refusal_is_told_with_the_servers_word_and_without_its_free_text() {
        let error =
            read_query("?error=access_denied&error_description=Agent+Smith+may+not&state=S")
                .expect_err("denied");
        let LoginError::Denied {
            error: word,
            description,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(word, "access_denied");
        assert_eq!(
            description.as_ref().expect("a text").expose(),
            "Agent Smith may not"
        );
        assert!(!format!("{error} {error:?}").contains("Smith"));
        let odd = read_query("error=%3Cscript%3Ea%20b&code=C").expect_err("denied");
        assert!(odd.to_string().contains("(scriptab)"), "{odd}");
    }
}
