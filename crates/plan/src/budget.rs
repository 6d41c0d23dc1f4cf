//! What `[budget]` of lab.toml wants asked before money is spent. Pure.

use crate::report::round_usd;
use crate::show::show_usd;

/// `[budget]`, and what the whole lab is estimated to cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// A part may cost this much without a question, in US dollars an hour.
    pub ask_above: f64,
    /// What the whole lab may cost, in US dollars.
    pub usd: f64,
    /// How long the lab is expected to stand, in hours.
    pub hours: f64,
    /// What the whole lab is estimated to cost in these hours, in US dollars.
    pub lab_usd: f64,
    /// What the whole lab is estimated to cost an hour, in US dollars.
    pub lab_usd_per_hour: f64,
}

/// What a part of the lab costs when all of it is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// In US dollars an hour.
    pub usd_per_hour: f64,
    /// What the price table does not know, each as a sentence. Its price is not in the sum.
    pub unpriced: Vec<String>,
}

impl Budget {
    /// What is to be asked before a part costs `after` dollars an hour, `added` of them new. Nothing for what adds nothing.
    pub fn list_questions(&self, after: f64, added: f64) -> Vec<String> {
        let (after, added) = (round_usd(after), round_usd(added));
        let mut questions = Vec::new();
        if added <= 0.0 {
            return questions;
        }
        if after > self.ask_above {
            let new = if after > added { format!(", {} of it new", show_usd(added)) } else { String::new() };
            questions.push(format!(
                "this part would cost {}{new}: more than [budget] ask_above = {} in lab.toml",
                show_usd(after),
                self.ask_above
            ));
        }
        if round_usd(self.lab_usd) > self.usd {
            questions.push(format!(
                "the whole lab is estimated at ${:.2} for {} hours ({}): more than [budget] usd = {} in lab.toml",
                self.lab_usd,
                self.hours,
                show_usd(self.lab_usd_per_hour),
                self.usd
            ));
        }
        questions
    }

    /// What is to be asked before a part is made of which nothing may be there yet: all that lab.toml alone can tell.
    pub fn list_questions_of(&self, cost: &Cost) -> Vec<String> {
        let mut questions = self.list_questions(cost.usd_per_hour, cost.usd_per_hour);
        questions.extend(cost.unpriced.iter().cloned());
        questions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { ask_above: 0.1, usd: 50.0, hours: 4.0, lab_usd: 1.2, lab_usd_per_hour: 0.3 };

    #[test]
    fn a_rate_is_asked_about_when_it_is_above_the_limit_and_grows() {
        assert_eq!(BUDGET.list_questions(0.1, 0.1), Vec::<String>::new(), "at the limit is not above it");
        assert_eq!(BUDGET.list_questions(0.1 + 1e-9, 0.1), Vec::<String>::new(), "binary dust is not either");
        assert_eq!(BUDGET.list_questions(0.9, 0.0), Vec::<String>::new(), "it is there already");
        let asked = BUDGET.list_questions(0.21, 0.01);
        assert_eq!(
            asked,
            ["this part would cost $0.2100 an hour, $0.0100 an hour of it new: more than [budget] ask_above = 0.1 in \
              lab.toml"]
        );
    }

    #[test]
    fn a_lab_past_its_dollars_is_asked_about_by_every_part_that_costs() {
        let budget = Budget { usd: 1.0, ..BUDGET };
        let asked = budget.list_questions(0.05, 0.05);
        assert_eq!(
            asked,
            [
                "the whole lab is estimated at $1.20 for 4 hours ($0.3000 an hour): more than [budget] usd = 1 in lab.toml"
            ]
        );
        assert_eq!(budget.list_questions(0.0, 0.0), Vec::<String>::new(), "a network costs nothing");
    }

    #[test]
    fn what_has_no_price_is_asked_about_too() {
        let unpriced = "lab-big-ec2 costs what the price table does not know (x9.huge)".to_owned();
        let cost = Cost { usd_per_hour: 0.0, unpriced: vec![unpriced.clone()] };
        assert_eq!(BUDGET.list_questions_of(&cost), [unpriced]);
    }
}
