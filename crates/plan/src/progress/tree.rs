//! Steps that need each other, as a tree: below each step stand those that wait for it last. Pure.

/// Where a step stands in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The step's index in the plan.
    pub(crate) step: usize,
    /// One for each level below the first: whether more follows there on the same level.
    pub(crate) rails: Vec<bool>,
}

/// The tree's lines from its top. `needs` holds, for each step, the indices of the steps that it waits for. A step that
/// waits for several stands below the one that is deepest itself, and of these the last.
pub(crate) fn arrange(needs: &[Vec<usize>]) -> Vec<Place> {
    let depths = find_depths(needs);
    let mut children = vec![Vec::new(); needs.len()];
    let mut roots = Vec::new();
    for (step, needs) in needs.iter().enumerate() {
        // Only who stands higher can be a parent: needs in a circle, which never begin, stand at the top then.
        match needs.iter().filter(|need| depths[**need] < depths[step]).max_by_key(|need| (depths[**need], **need)) {
            Some(parent) => children[*parent].push(step),
            None => roots.push(step),
        }
    }
    let mut places = Vec::new();
    let mut open: Vec<Place> = roots.into_iter().rev().map(|step| Place { step, rails: Vec::new() }).collect();
    while let Some(place) = open.pop() {
        let below = &children[place.step];
        open.extend(below.iter().enumerate().rev().map(|(number, step)| {
            let rails = place.rails.iter().copied().chain([number + 1 < below.len()]).collect();
            Place { step: *step, rails }
        }));
        places.push(place);
    }
    places
}

/// How many steps come one after another before each.
fn find_depths(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut depths = vec![0; needs.len()];
    // As many rounds as the longest chain has steps; one more changes nothing, unless needs go in a circle.
    for _ in 0..needs.len() {
        let mut changed = false;
        for (step, needs) in needs.iter().enumerate() {
            let depth = needs.iter().map(|need| depths[*need] + 1).max().unwrap_or(0).min(depths.len());
            changed |= depth != depths[step];
            depths[step] = depth;
        }
        if !changed {
            break;
        }
    }
    depths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn below_each_step_stands_what_waits_for_it_last() {
        // vpc; gateway and subnet need it; the table needs both; a key needs nothing
        let places = arrange(&[vec![], vec![0], vec![0], vec![1, 2], vec![], vec![2]]);
        let lines: Vec<_> = places.iter().map(|place| (place.step, place.rails.as_slice())).collect();
        let expected: [(usize, &[bool]); 6] =
            [(0, &[]), (1, &[true]), (2, &[false]), (3, &[false, true]), (5, &[false, false]), (4, &[])];
        assert_eq!(lines, expected);
    }

    proptest! {
        #[test]
        fn every_step_has_one_place_whatever_needs_what(
            needs in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..20)
        ) {
            let count = needs.len();
            let needs: Vec<Vec<usize>> =
                needs.iter().map(|needs| needs.iter().map(|need| need.index(count)).collect()).collect();
            let mut steps: Vec<_> = arrange(&needs).into_iter().map(|place| place.step).collect();
            steps.sort_unstable();
            prop_assert_eq!(steps, (0..count).collect::<Vec<_>>());
        }
    }
}
