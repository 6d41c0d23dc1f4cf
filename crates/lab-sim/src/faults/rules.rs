//! Fault rules: which calls they match, at which of them they fire, and with what effect. Pure; each rule counts for
//! itself.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effect {
    /// The call takes this many milliseconds longer.
    LatencyMs(u64),
    /// No byte is answered for this many milliseconds, then the connection closes; the server did not act.
    StallMs(u64),
    /// The service's own throttling error.
    Throttle,
    /// HTTP 500 in the service's own form; the server did not act.
    InternalError,
    /// HTTP 503 in the service's own form; the server did not act.
    Unavailable,
    /// The connection closes before the server acted.
    ResetBefore,
    /// The server acts, then the connection closes without an answer.
    ResetAfter,
    /// What this call creates stays invisible for this many milliseconds.
    LateVisibilityMs(u64),
    /// The call is carried out, but what it begins comes to nothing: `association-failed`, a NAT gateway's `failed`.
    FailLater,
    /// The credentials have expired.
    ExpiredCredentials,
    /// Any error of the service's, by its code; the server did not act.
    Error {
        code: String,
        #[serde(default = "default_status")]
        status: u16,
        #[serde(default)]
        message: String,
    },
    /// The server acts, then a process gets SIGKILL before it sees the answer.
    Kill(Victim),
    /// A process gets SIGKILL before the server acts, which it never does.
    KillBefore(Victim),
}

/// Whom [`Effect::Kill`] and [`Effect::KillBefore`] kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Victim {
    /// The process that made the call.
    Caller,
    /// The process group of `lab-sim -- COMMAND`.
    Command,
}

/// Who made a call: the command (or anyone else from outside), or a function that lab-sim runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CallerKind {
    Command,
    Function,
}

fn default_status() -> u16 {
    400
}

fn any() -> String {
    "*".to_owned()
}

fn one() -> u64 {
    1
}

/// One rule, as it stands in the faults file. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Rule {
    /// The service's signing name; `*` stands for any run of characters.
    #[serde(default = "any")]
    pub(crate) service: String,
    /// The action's name; `*` stands for any run of characters.
    #[serde(default = "any")]
    pub(crate) action: String,
    /// Who made the call; both when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) caller: Option<CallerKind>,
    /// Fires at exactly this matching call, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nth: Option<u64>,
    /// Fires from this matching call on.
    #[serde(default = "one")]
    pub(crate) from: u64,
    /// Fires at each so-manieth matching call after `from`.
    #[serde(default = "one")]
    pub(crate) every: u64,
    /// Fires at most so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
    /// Of calls that are the same but for what is drawn anew (tokens, attempt tags) only the first is matched: each call
    /// meets the rule, and its repetition does not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) distinct: bool,
    pub(crate) effect: Effect,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The call that the rules are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) service: &'a str,
    pub(crate) action: &'a str,
    pub(crate) caller: CallerKind,
    /// The same for a call and its repetition ([`super::print::print_call`]).
    pub(crate) print: u64,
}

/// What the rules say about one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Milliseconds to wait first: the sum of all latencies.
    pub(crate) latency_ms: u64,
    pub(crate) aftermath: Aftermath,
    /// The first of the other effects whose rule fired.
    pub(crate) effect: Option<Effect>,
}

/// What becomes of what a call begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Aftermath {
    /// Milliseconds for which it stays invisible.
    pub(crate) late_visibility_ms: Option<u64>,
    /// It comes to nothing.
    pub(crate) fails: bool,
}

/// The rules in force, with their counters.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    /// Milliseconds that every call takes longer.
    latency_ms: u64,
    rules: Vec<CountedRule>,
}

#[derive(Debug, Clone, Serialize)]
struct CountedRule {
    #[serde(flatten)]
    rule: Rule,
    matched: u64,
    fired: u64,
    /// The prints of the calls that a `distinct` rule has matched.
    #[serde(skip)]
    seen: HashSet<u64>,
}

/// What a faults file may be: a list of rules, or an object with a latency for all calls as well.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "neither a list of rules nor an object {\"latency-ms\": N, \"rules\": […]}")]
enum FaultFile {
    Rules(Vec<serde_json::Value>),
    Whole {
        #[serde(default, rename = "latency-ms")]
        latency_ms: Option<u64>,
        #[serde(default)]
        rules: Vec<serde_json::Value>,
    },
}

impl FaultBook {
    /// No rules; every call takes `latency_ms` longer.
    pub(crate) fn with_latency(latency_ms: u64) -> Self {
        Self { latency_ms, rules: Vec::new() }
    }

    /// Replaces the rules by those in `json`; a latency that it does not name stays as it is.
    ///
    /// # Errors
    /// What is wrong and in which rule; nothing has changed then.
    pub(crate) fn load(&mut self, json: &[u8]) -> Result<(), String> {
        let file: FaultFile = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let (latency_ms, rules) = match file {
            FaultFile::Rules(rules) => (None, rules),
            FaultFile::Whole { latency_ms, rules } => (latency_ms, rules),
        };
        let mut counted = Vec::with_capacity(rules.len());
        for (index, value) in rules.into_iter().enumerate() {
            let rule = read_rule(value).map_err(|error| format!("rule {}: {error}", index + 1))?;
            counted.push(CountedRule { rule, matched: 0, fired: 0, seen: HashSet::new() });
        }
        self.rules = counted;
        self.latency_ms = latency_ms.unwrap_or(self.latency_ms);
        Ok(())
    }

    /// No rules, no latency.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The rules with their counters, as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "latency-ms": self.latency_ms, "rules": self.rules })
    }

    /// Counts a call and says what is to happen to it.
    pub(crate) fn judge(&mut self, subject: Subject<'_>) -> Verdict {
        let mut verdict = Verdict { latency_ms: self.latency_ms, ..Verdict::default() };
        for counted in &mut self.rules {
            if !counted.rule.matches(subject) || (counted.rule.distinct && !counted.seen.insert(subject.print)) {
                continue;
            }
            counted.matched += 1;
            if !counted.rule.fires_at(counted.matched, counted.fired) {
                continue;
            }
            counted.fired += 1;
            match &counted.rule.effect {
                Effect::LatencyMs(ms) => verdict.latency_ms += ms,
                Effect::LateVisibilityMs(ms) => verdict.aftermath.late_visibility_ms = Some(*ms),
                Effect::FailLater => verdict.aftermath.fails = true,
                effect => {
                    verdict.effect.get_or_insert_with(|| effect.clone());
                }
            }
        }
        verdict
    }
}

fn read_rule(value: serde_json::Value) -> Result<Rule, String> {
    let rule: Rule = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if rule.every == 0 || rule.from == 0 || rule.nth == Some(0) {
        return Err("`nth`, `from` and `every` count from 1".to_owned());
    }
    if let Effect::Error { status, .. } = rule.effect
        && !(400..=599).contains(&status)
    {
        return Err(format!("`status` {status} is not an error status (400 to 599)"));
    }
    Ok(rule)
}

impl Rule {
    fn matches(&self, subject: Subject<'_>) -> bool {
        matches_glob(&self.service, subject.service)
            && matches_glob(&self.action, subject.action)
            && self.caller.is_none_or(|wanted| wanted == subject.caller)
    }

    /// Whether the rule fires at its `count`-th matching call, having fired `fired` times.
    fn fires_at(&self, count: u64, fired: u64) -> bool {
        if let Some(nth) = self.nth {
            return count == nth;
        }
        count >= self.from
            && (count - self.from).is_multiple_of(self.every)
            && self.times.is_none_or(|times| fired < times)
    }
}

/// Whether `text` is what `pattern` describes; `*` stands for any run of characters, also none.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(start, _)| &tail[start..]).chain([""]).any(|end| matches_glob(rest, end))
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book(json: &str) -> FaultBook {
        let mut book = FaultBook::default();
        book.load(json.as_bytes()).expect("rules that are right");
        book
    }

    fn judge(book: &mut FaultBook, service: &str, action: &str, caller: CallerKind) -> Verdict {
        book.judge(Subject { service, action, caller, print: 0 })
    }

    fn fired_at(book: &mut FaultBook, calls: u64) -> Vec<u64> {
        (1..=calls).filter(|_| judge(book, "ec2", "CreateVpc", CallerKind::Command).effect.is_some()).collect()
    }

    #[test]
    fn a_distinct_rule_meets_each_call_and_not_its_repetition() {
        let mut book = book(r#"[{"distinct": true, "from": 2, "effect": "reset-after"}]"#);
        let mut meets = |print| {
            let subject = Subject { service: "ec2", action: "CreateVpc", caller: CallerKind::Command, print };
            book.judge(subject).effect.is_some()
        };
        assert_eq!([1, 1, 2, 2, 3, 2, 1].map(&mut meets), [false, false, true, false, true, false, false]);
        assert_eq!(book.to_json()["rules"][0]["fired"], 2, "the counter says how many calls were met");
    }

    #[test]
    fn a_rule_fires_at_the_calls_it_names() {
        assert_eq!(fired_at(&mut book(r#"[{"nth": 3, "effect": "throttle"}]"#), 6), [3]);
        assert_eq!(fired_at(&mut book(r#"[{"from": 4, "effect": "expired-credentials"}]"#), 6), [4, 5, 6]);
        assert_eq!(fired_at(&mut book(r#"[{"every": 2, "effect": "unavailable"}]"#), 6), [1, 3, 5]);
        assert_eq!(fired_at(&mut book(r#"[{"from": 2, "times": 2, "effect": "reset-after"}]"#), 6), [2, 3]);
    }

    #[test]
    fn a_rule_counts_only_what_it_matches() {
        let mut book = book(r#"[{"service": "s3", "action": "Put*", "nth": 2, "effect": "internal-error"}]"#);
        assert_eq!(judge(&mut book, "s3", "PutObject", CallerKind::Command).effect, None);
        assert_eq!(judge(&mut book, "s3", "GetObject", CallerKind::Command).effect, None);
        assert_eq!(judge(&mut book, "ec2", "PutObject", CallerKind::Command).effect, None);
        assert_eq!(judge(&mut book, "s3", "PutBucketPolicy", CallerKind::Function).effect, Some(Effect::InternalError));
    }

    #[test]
    fn latencies_add_up_and_the_first_other_effect_wins() {
        let mut book = book(
            r#"{"latency-ms": 5, "rules": [
                {"effect": {"latency-ms": 10}},
                {"effect": {"late-visibility-ms": 7}},
                {"effect": {"kill": "caller"}, "caller": "function"},
                {"effect": {"error": {"code": "Unheard"}}},
                {"effect": "throttle"}]}"#,
        );
        let verdict = judge(&mut book, "iam", "CreateRole", CallerKind::Command);
        assert_eq!(verdict.latency_ms, 15);
        assert_eq!(verdict.aftermath.late_visibility_ms, Some(7));
        let error = Effect::Error { code: "Unheard".into(), status: 400, message: String::new() };
        assert_eq!(verdict.effect, Some(error));
    }

    #[test]
    fn a_wrong_rule_is_named_and_changes_nothing() {
        let mut book = book(r#"[{"effect": "throttle"}]"#);
        for (json, part) in [
            (r#"[{"effect": "throttle"}, {"efect": "throttle"}]"#, "rule 2: unknown field `efect`"),
            (r#"[{"effect": "explode"}]"#, "unknown variant `explode`"),
            (r#"[{"nth": 0, "effect": "throttle"}]"#, "count from 1"),
            (r#"[{"effect": {"error": {"code": "X", "status": 200}}}]"#, "`status` 200"),
            ("7", "neither a list of rules"),
        ] {
            let error = book.load(json.as_bytes()).expect_err("refused");
            assert!(error.contains(part), "{json}: {error}");
        }
        assert_eq!(book.to_json()["rules"].as_array().map(Vec::len), Some(1));
    }

    proptest! {
        #[test]
        fn a_star_matches_what_it_replaces(head in "[a-c]{0,3}", middle in "[a-c]{0,4}", tail in "[a-c]{0,3}") {
            let text = format!("{head}{middle}{tail}");
            let pattern = format!("{head}*{tail}");
            prop_assert!(matches_glob(&pattern, &text));
            let other = format!("{text}x");
            prop_assert!(!matches_glob(&text, &other));
        }

        #[test]
        fn a_rule_never_fires_more_often_than_it_may(from in 1u64..6, every in 1u64..4, times in 0u64..5, calls in 0u64..30) {
            let json = format!(r#"[{{"from": {from}, "every": {every}, "times": {times}, "effect": "throttle"}}]"#);
            let fired = fired_at(&mut book(&json), calls);
            prop_assert!(fired.len() as u64 <= times);
            prop_assert!(fired.iter().all(|count| *count >= from && (count - from) % every == 0));
        }
    }
}
