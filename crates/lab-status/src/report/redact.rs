//! What nobody should see, taken out of a report: account numbers, keys, tokens, passwords. A log and a tag say what they
//! like, so this goes by what secrets look like and what stands before them; it hides rather too much.

use std::sync::LazyLock;

use lab_plan::{Problem, round_usd};
use regex_lite::{Captures, Regex};
use serde_json::Value;

use super::evidence::Evidence;

/// What stands where a secret stood.
const HIDDEN: &str = "(hidden)";
/// How many letters of a line of the function's log are shown. It is cut after all else: half a secret is not known as one.
const LONGEST: usize = 400;

/// What this machine knows of itself and nobody else needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// The account's number.
    pub(super) account: &'a str,
    /// The user's own folder.
    pub(super) home: &'a str,
}

/// The same evidence without secrets. Numbers are rounded to what comes back as it was from text.
///
/// # Errors
/// When the evidence is no JSON, which would be an error of ours.
pub(super) fn redact(evidence: &Evidence, own: Own<'_>) -> Result<Evidence, Problem> {
    let broken = |error: serde_json::Error| Problem::failed("the evidence cannot be read").because(error.to_string());
    let mut value = serde_json::to_value(evidence).map_err(broken)?;
    redact_value(&mut value, own);
    let mut evidence: Evidence = serde_json::from_value(value).map_err(broken)?;
    evidence.log.iter_mut().for_each(cut);
    Ok(evidence)
}

fn cut(line: &mut String) {
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
}

fn redact_value(value: &mut Value, own: Own<'_>) {
    match value {
        Value::String(text) => *text = redact_text(text, own),
        Value::Array(list) => list.iter_mut().for_each(|one| redact_value(one, own)),
        Value::Object(fields) => {
            // A picture's letters mean nothing.
            fields.iter_mut().filter(|(key, _)| *key != "png").for_each(|(_, one)| redact_value(one, own));
        }
        Value::Number(number) if number.is_f64() => *value = round_usd(number.as_f64().unwrap_or_default()).into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_text(text: &str, own: Own<'_>) -> String {
    let mut text = text.to_owned();
    if own.account.len() == 12 && own.account.is_ascii() {
        text = text.replace(own.account, &format!("…{}", &own.account[8..]));
    }
    if own.home.len() > 1 {
        text = text.replace(&format!("{}/", own.home.trim_end_matches('/')), "~/");
    }
    for (pattern, with) in &*SHAPES {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    let text = NAMED.replace_all(&text, hide_value);
    RUN.replace_all(
        &text,
        |run: &Captures<'_>| {
            if is_secret_key(&run[0]) { HIDDEN.to_owned() } else { run[0].to_owned() }
        },
    )
    .into_owned()
}

/// What is known by its looks, with what takes its place.
static SHAPES: LazyLock<[(Regex, &str); 8]> = LazyLock::new(|| {
    [
        // Account numbers of others, where a number of 12 digits is one: ARNs and service URLs.
        (r"(arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:)[0-9]{8}([0-9]{4})", "$1…$2"),
        (r"(amazonaws\.com/)[0-9]{8}([0-9]{4})\b", "$1…$2"),
        // RFC 7468; a line that was cut has no end.
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)", HIDDEN),
        // RFC 6750 and RFC 7617.
        (r"(?i)\b(bearer|authorization\\?[\x22']?: *\\?[\x22']?basic) +[A-Za-z0-9._~+/=-]{8,}", "$1 (hidden)"),
        // RFC 3986, userinfo.
        (r"(://)[^/\s:@]+:[^/\s@]+@", "$1(hidden)@"),
        // RFC 7519.
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?", HIDDEN),
        // IAM user guide, "Unique identifiers".
        (r"\b(?:AKIA|ASIA)[A-Za-z0-9]{12,}", HIDDEN),
        // GitHub's, GitLab's and Slack's tokens begin like this.
        (r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[a-z]-[\w-]{10,})", HIDDEN),
    ]
    .map(|(pattern, with)| (Regex::new(pattern).expect("it is one of ours"), with))
});

/// A name of a secret, what stands between, and its value: `password='a b'`, `\"token\": \"…\"`, `X-Amz-Signature=…`.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let names = "pass(?:word|wd|phrase|wort)|pwd|secret|secret[_-]?(?:access)?[_-]?key|token|api[_-]?key|private[_-]?key|signature|credentials?";
    let between = r#"\\?["']?\]?\s*(?:=>|=|:|%3[dDaA])\s*"#;
    // In quotes (also escaped ones, also without their end), else to the next sign that ends a value.
    let value = r#"\\"(?s:.*?)\\"|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\?["'].*$|[^\s"'\\&,;<>}()]+"#;
    Regex::new(&format!("(?i)((?:{names}){between})({value})")).expect("it is one of ours")
});

fn hide_value(found: &Captures<'_>) -> String {
    let (name, value) = (&found[1], &found[2]);
    let quote = ["\\\"", "\"", "'"].into_iter().find(|quote| value.starts_with(quote)).unwrap_or_default();
    format!("{name}{quote}{HIDDEN}{quote}")
}

/// What a secret access key can be part of.
static RUN: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Za-z0-9/+=]+").expect("it is one of ours"));

/// The keys that STS and IAM give have 40 letters, of all kinds; a commit or a fingerprint has no capitals.
fn is_secret_key(run: &str) -> bool {
    let has = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
    run.len() == 40 && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(text: &str) -> String {
        redact_text(text, Own { account: "123456789012", home: "/home/ada" })
    }

    #[test]
    fn account_numbers_keys_and_the_users_folder_are_hidden_wherever_they_stand() {
        let text = "arn:aws:iam::123456789012:role/x by AKIAIOSFODNN7EXAMPLE, and ASIAIOSFODNN7EXAMPLE";
        assert_eq!(hide(text), "arn:aws:iam::…9012:role/x by (hidden), and (hidden)");
        let others = "arn:aws:s3:us-east-1:210987654321:x, https://sqs.us-east-1.amazonaws.com/210987654321/q";
        assert_eq!(hide(others), "arn:aws:s3:us-east-1:…4321:x, https://sqs.us-east-1.amazonaws.com/…4321/q");
        assert_eq!(hide("cannot read /home/ada/lab.toml"), "cannot read ~/lab.toml");
        assert_eq!(redact_text("/x of nobody", Own { account: "", home: "/" }), "/x of nobody");
    }

    #[test]
    fn the_values_of_secrets_are_hidden() {
        for (text, safe) in [
            ("http://203.0.113.7:8888/lab?token=abc123&x=1", "http://203.0.113.7:8888/lab?token=(hidden)&x=1"),
            (r#"{"password":"s3cret, really","n":1}"#, r#"{"password":"(hidden)","n":1}"#),
            ("connect(password='a b', user='x')", "connect(password='(hidden)', user='x')"),
            ("{'password': 'x y', 'n': 1}", "{'password': '(hidden)', 'n': 1}"),
            ("os.environ['API_KEY'] = 'x'", "os.environ['API_KEY'] = '(hidden)'"),
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = (hidden)"),
            (
                "SECRET_KEY=abc pwd=x passphrase=y api_key=z",
                "SECRET_KEY=(hidden) pwd=(hidden) passphrase=(hidden) api_key=(hidden)",
            ),
            ("password=>x, token%3Dabc", "password=>(hidden), token%3D(hidden)"),
            (r#"\"sessionToken\": \"FwoG, b\", 1"#, r#"\"sessionToken\": \"(hidden)\", 1"#),
            ("password=\"cut off here", "password=\"(hidden)\""),
            ("?X-Amz-Signature=0a1b&X-Amz-Date=1", "?X-Amz-Signature=(hidden)&X-Amz-Date=1"),
            ("authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x_-", "authorization: Bearer (hidden)"),
            ("id eyJhbGciOiJIUzI1NiJ9.e30.x_- end", "id (hidden) end"),
            ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic (hidden)"),
            ("https://user:pw@example.com/x", "https://(hidden)@example.com/x"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- x", "(hidden) x"),
            ("-----BEGIN PRIVATE KEY-----\nabc", "(hidden)"),
            ("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1, x", "key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1, x"),
            ("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEK1Y, x", "key (hidden), x"),
            ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "(hidden)"),
        ] {
            assert_eq!(hide(text), safe);
        }
    }

    #[test]
    fn long_lines_are_cut_between_letters() {
        let mut line = "é".repeat(500);
        cut(&mut line);
        assert_eq!((line.chars().count(), line.ends_with('…')), (401, true));
    }

    #[test]
    fn what_only_speaks_of_secrets_is_left() {
        for text in [
            "the token is on the host: see there",
            "größe=7, Ünïcödé: é",
            "authorization rule 10.0.0.0/16: active",
            "commit 0123456789abcdef0123456789abcdef01234567",
            "basic authentication is off",
            "s3://lab-input-bucket-ada/incoming/pictures/IMG_20261120.jpg",
            "lab-lambda-function: Active, mailto:a@b.example",
        ] {
            assert_eq!(hide(text), text);
        }
    }
}
