//! Whose turn it is: of several things with one role, made by runs at the same moment, the one that all runs keep.
//!
//! It is Lamport's bakery. Whoever has made one draws a number larger than all that he sees, and looks again; the smallest
//! number is served, and of equal ones the smallest id. Ids alone would not do: a run that saw nobody goes on, and a later
//! one may be given a smaller id. With numbers it cannot win: it sees what is there before it draws.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Tag;
use lab_common::{Tags, explain};
use lab_plan::{Pace, Problem, Stop, wait_for};
use tokio::time::Instant;

use crate::{find_tag, is_gone};

/// How long another run may take between making its own and drawing its number: two calls.
const DRAWING: Duration = Duration::from_secs(8);
/// From then on, what cannot be found was not too new to be seen: somebody has removed it.
const SEEN: Duration = Duration::from_secs(3);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Its id.
    pub id: String,
    /// What its run has drawn; `None` while it has not, and where a run was killed before it could.
    pub number: Option<u32>,
}

/// By this, of several that runs have made, the one comes first that is kept: whoever has drawn no number comes last.
pub fn turn_of(number: Option<u32>, id: &str) -> (u32, &str) {
    (number.unwrap_or(u32::MAX), id)
}

impl Drawn {
    /// By this, the one comes first that is kept ([`turn_of`]).
    pub fn turn(&self) -> (u32, &str) {
        turn_of(self.number, &self.id)
    }
}

/// The one that all runs keep that made one at this moment: `made`, or one of another run. Whoever lost removes `made`.
///
/// `see` finds all of them, `what` in a few words; `write` gives `made` its number, and answers whether it was there.
///
/// # Errors
/// What `see` and `write` answer; that the user stops us.
pub async fn take_turn(
    what: &str,
    made: &str,
    stop: &Stop,
    see: impl AsyncFn() -> Result<Vec<Drawn>, Problem>,
    write: impl AsyncFn(u32) -> Result<bool, Problem>,
) -> Result<String, Problem> {
    let start = Instant::now();
    let own = wait_for(Pace::MOMENT, stop, format_args!("{made} to be seen"), async || {
        let seen = see().await?;
        let number = draw(&seen);
        if write(number).await? {
            return Ok(Some(Drawn { id: made.to_owned(), number: Some(number) }));
        }
        // Only a run that keeps another one removes it.
        let others = seen.into_iter().filter(|one| one.id != made && one.number.is_some());
        let first = others.min_by(|a, b| a.turn().cmp(&b.turn()));
        Ok(first.filter(|_| start.elapsed() > SEEN))
    })
    .await?;
    if own.id != made {
        return Ok(own.id);
    }
    let start = Instant::now();
    wait_for(Pace::MOMENT, stop, format_args!("the other runs to choose {what}"), async || {
        let seen = see().await?;
        let undecided = seen.iter().any(|one| one.id != own.id && one.number.is_none());
        // Who has not drawn by then was killed; what it made is removed by whoever looks next.
        let waits = undecided && start.elapsed() < DRAWING;
        Ok((!waits).then(|| first_in_turn(seen, &own)))
    })
    .await
}

/// The number on what bears these tags.
pub fn find_number(tags: &[Tag]) -> Option<u32> {
    find_tag(tags, Tags::NUMBER)?.parse().ok()
}

/// Writes its number on something in EC2; answers whether it was there.
///
/// # Errors
/// When EC2 does not answer, or not to us.
pub async fn write_number(ec2: &Client, id: &str, number: u32) -> Result<bool, Problem> {
    let tag = Tag::builder().key(Tags::NUMBER).value(number.to_string()).build();
    match ec2.create_tags().resources(id).tags(tag).send().await {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(explain("CreateTags", &error)),
    }
}

/// The number to draw when these are there.
fn draw(seen: &[Drawn]) -> u32 {
    seen.iter().filter_map(|one| one.number).max().map_or(1, |largest| largest.saturating_add(1))
}

/// Whose turn it is, as far as `seen` and `own` tell. `own` counts also while it is not visible yet.
fn first_in_turn(seen: Vec<Drawn>, own: &Drawn) -> String {
    let others = seen.into_iter().filter(|one| one.id != own.id);
    others.chain([own.clone()]).min_by(|a, b| a.turn().cmp(&b.turn())).map_or_else(|| own.id.clone(), |first| first.id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(id: &str, number: Option<u32>) -> Drawn {
        Drawn { id: id.to_owned(), number }
    }

    #[test]
    fn who_comes_later_draws_more_and_waits_whatever_its_id() {
        let first = drawn("vpc-9", Some(draw(&[drawn("vpc-9", None)])));
        let later = drawn("vpc-1", Some(draw(&[first.clone(), drawn("vpc-1", None)])));
        assert_eq!((first.number, later.number), (Some(1), Some(2)));
        assert_eq!(first_in_turn(vec![first.clone(), later.clone()], &later), "vpc-9");
        assert_eq!(first_in_turn(vec![later, first.clone()], &first), "vpc-9");
    }

    #[test]
    fn of_equal_numbers_the_smallest_id_wins_and_who_has_not_drawn_is_last() {
        let own = drawn("vpc-2", Some(1));
        assert_eq!(first_in_turn(vec![drawn("vpc-1", Some(1)), own.clone()], &own), "vpc-1");
        assert_eq!(first_in_turn(vec![drawn("vpc-1", None), own.clone()], &own), "vpc-2");
        assert_eq!(first_in_turn(vec![], &own), "vpc-2", "not visible yet");
    }

    /// Runs `take_turn` for `made` among `there`, to which `join` may add what another run makes meanwhile.
    async fn keep(made: &str, there: Vec<Drawn>, visible: bool) -> (String, Duration) {
        let (there, stop, start) = (std::cell::RefCell::new(there), Stop::new(), Instant::now());
        let kept = take_turn(
            "a VPC",
            made,
            &stop,
            async || Ok(there.borrow().clone()),
            async |number| {
                there.borrow_mut().iter_mut().filter(|one| one.id == made).for_each(|one| one.number = Some(number));
                Ok(visible)
            },
        );
        (kept.await.unwrap(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_killed_before_it_drew_is_awaited_for_seconds_only() {
        let (kept, took) = keep("vpc-2", vec![drawn("vpc-1", None), drawn("vpc-2", None)], true).await;
        assert!(kept == "vpc-2" && took >= DRAWING && took < DRAWING * 2, "{kept} after {took:?}");
        let (kept, took) = keep("vpc-1", vec![drawn("vpc-1", None), drawn("vpc-2", Some(4))], true).await;
        assert_eq!((kept.as_str(), took), ("vpc-2", Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_its_own_removed_takes_the_one_that_was_kept() {
        let (kept, took) = keep("vpc-1", vec![drawn("vpc-2", Some(1))], false).await;
        assert!(kept == "vpc-2" && took > SEEN, "{kept} after {took:?}");
    }

    proptest! {
        /// Two runs, each of which makes its own, looks, draws and looks, in any order: both keep the same one.
        #[test]
        fn two_runs_come_to_the_same_one_in_any_order(order in prop::collection::vec(any::<bool>(), 8), swap: bool) {
            let names = if swap { ["vpc-1", "vpc-2"] } else { ["vpc-2", "vpc-1"] };
            let mut there: Vec<Drawn> = Vec::new();
            let mut state = [0_u8; 2];
            let (mut saw, mut kept) = ([0_u32; 2], [String::new(), String::new()]);
            let mut turns = order.into_iter().map(usize::from).collect::<Vec<_>>();
            turns.extend([0, 1].repeat(12));
            for run in turns {
                match state[run] {
                    0 => there.push(drawn(names[run], None)),
                    1 => saw[run] = draw(&there),
                    2 => there.iter_mut().filter(|one| one.id == names[run]).for_each(|one| one.number = Some(saw[run])),
                    3 => {
                        // It waits for those who have not drawn yet.
                        if there.iter().any(|one| one.number.is_none()) {
                            continue;
                        }
                        kept[run] = first_in_turn(there.clone(), &drawn(names[run], Some(saw[run])));
                        if kept[run] != names[run] {
                            there.retain(|one| one.id != names[run]);
                        }
                    }
                    _ => continue,
                }
                state[run] += 1;
            }
            prop_assert_eq!(&kept[0], &kept[1]);
            prop_assert_eq!(there.len(), 1);
        }
    }
}
