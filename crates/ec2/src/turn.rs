//! Whose turn it is: of several things with one role, made by runs at the same moment, the one that all runs keep.
//!
//! It is Lamport's bakery. Whoever has made one draws a number larger than all that he sees, and looks again; the smallest
//! number is served, and of equal ones the smallest id. Ids alone would not do: a run that saw nobody goes on, and a later
//! one may be given a smaller id. With numbers it cannot win: it sees what is there before it draws.

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Its id.
    pub id: String,
    /// What its run has drawn; `None` while it has not, and where a run was killed before it could.
    pub number: Option<u32>,
}

impl Drawn {
    /// Who is served first comes first.
    pub fn turn(&self) -> (u32, &str) {
        (self.number.unwrap_or(u32::MAX), &self.id)
    }
}

/// The number to draw when these are there.
pub fn draw(seen: &[Drawn]) -> u32 {
    seen.iter().filter_map(|one| one.number).max().map_or(1, |largest| largest.saturating_add(1))
}

/// Whose turn it is, as far as `seen` and `own` tell. `own` counts also while it is not visible yet.
pub fn first_in_turn(seen: Vec<Drawn>, own: &Drawn) -> String {
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
