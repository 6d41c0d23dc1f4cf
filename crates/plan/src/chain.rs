//! The steps that decide how long a run takes: each needed by the next. Pure.

/// The chain that ended last, its first step first: from the step that ended last back to, each time, the one of its needs
/// that ended last. `ends` holds when each step ended; `needs` which steps each has waited for, by index.
pub(crate) fn find_longest_chain<T: PartialOrd + Copy>(ends: &[Option<T>], needs: &[Vec<usize>]) -> Vec<usize> {
    let find_last = |among: &mut dyn Iterator<Item = usize>| {
        among.fold(None, |last: Option<(usize, T)>, index| match (last, ends[index]) {
            (last, None) => last,
            (Some(last), Some(end)) if last.1 > end => Some(last),
            (_, Some(end)) => Some((index, end)),
        })
    };
    let mut chain = Vec::new();
    let mut last = find_last(&mut (0..ends.len()));
    // Needs that go in a circle never begin; all the same a circle must end here.
    while let Some((index, _)) = last.filter(|_| chain.len() < ends.len()) {
        chain.push(index);
        last = find_last(&mut needs[index].iter().copied());
    }
    chain.reverse();
    chain
}

/// Which steps each step waits for, by index: `steps` holds each one's role and the roles that it needs. Several steps may
/// bear one role; a role that none bears is there already.
pub(crate) fn resolve_needs<'a>(steps: impl Iterator<Item = (&'a str, &'a [String])> + Clone) -> Vec<Vec<usize>> {
    let mut bearers: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
    for (index, (role, _)) in steps.clone().enumerate() {
        bearers.entry(role).or_default().push(index);
    }
    let resolve = |needs: &[String]| {
        needs.iter().filter_map(|role| bearers.get(role.as_str())).flatten().copied().collect::<Vec<_>>()
    };
    steps.map(|(_, needs)| resolve(needs)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_goes_back_from_what_ended_last() {
        // 0 ─ 1 ─ 3, 0 ─ 2 ─ 3, 4 alone, 5 never began
        let needs = [vec![], vec![0], vec![0], vec![1, 2], vec![], vec![3]];
        let ends = [Some(10), Some(30), Some(20), Some(90), Some(80), None];
        assert_eq!(find_longest_chain(&ends, &needs), [0, 1, 3]);
        assert_eq!(find_longest_chain::<u64>(&[], &[]), Vec::<usize>::new());
        assert_eq!(find_longest_chain(&[Some(1), Some(1)], &[vec![1], vec![0]]).len(), 2, "a circle ends");
    }

    #[test]
    fn needs_are_found_by_role() {
        let needs: [Vec<String>; 3] = [vec![], vec![], vec!["rule".into(), "elsewhere".into()]];
        let steps = ["rule", "rule", "host"].into_iter().zip(needs.iter().map(Vec::as_slice));
        assert_eq!(resolve_needs(steps), [vec![], vec![], vec![0, 1]]);
    }
}
