//! What a wrong clock on this machine means.

use lab_plan::Problem;

/// Worth saying: times in logs and certificates will look odd.
const NOTED: u64 = 60;
/// AWS refuses signatures that are this old or this far ahead (Signature Version 4: 5 minutes). The SDK corrects its own;
/// other programs on this machine, and certificates made here, go wrong.
const WRONG: u64 = 5 * 60;

/// What is to be said of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockCheck {
    /// No answer of AWS told the time.
    Unknown,
    /// Right, but for these seconds.
    Right(u64),
    /// Off, which is worth a note.
    Off(String),
    /// So wrong that nothing should be made.
    Wrong(Problem),
}

/// Judges a skew in seconds, positive where AWS's clock is ahead ([`lab_common::Clock::skew`]).
pub fn check_clock(skew: Option<i64>) -> ClockCheck {
    let Some(skew) = skew else { return ClockCheck::Unknown };
    let seconds = skew.unsigned_abs();
    let which = if skew > 0 { "behind" } else { "ahead of" };
    let what = format!("this machine's clock is {} {which} AWS's", show_seconds(seconds));
    if seconds > WRONG {
        let why =
            "AWS refuses signatures that are 5 minutes off, and certificates made now would begin at a wrong time";
        let fix = "set the clock (timedatectl set-ntp true), then run the same command again";
        ClockCheck::Wrong(Problem::failed(what).because(why).fix(fix))
    } else if seconds > NOTED {
        ClockCheck::Off(format!("{what}; requests are signed with AWS's time (set it: timedatectl set-ntp true)"))
    } else {
        ClockCheck::Right(seconds)
    }
}

fn show_seconds(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_nothing_two_are_a_note_and_six_a_problem() {
        assert_eq!(check_clock(None), ClockCheck::Unknown);
        assert_eq!(check_clock(Some(-60)), ClockCheck::Right(60));
        let ClockCheck::Off(note) = check_clock(Some(130)) else { panic!("a note") };
        assert!(note.starts_with("this machine's clock is 2 min behind AWS's"), "{note}");
        let ClockCheck::Wrong(problem) = check_clock(Some(-600)) else { panic!("a problem") };
        assert!(problem.what().contains("10 min ahead of AWS's"), "{problem}");
    }
}
