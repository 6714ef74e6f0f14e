//! Chooses the app among several candidates.

/// Asks whether a reason speaks for a candidate.
pub(crate) type Reason<'r, T> = &'r dyn Fn(&T) -> bool;

/// The candidate that the reasons leave, and which reason left it alone.
///
/// Each reason in turn keeps those that it speaks for. One that speaks for none of them says nothing. `None` when several
/// are left at the end, or when there are no candidates.
pub(crate) fn choose<'c, T>(
    candidates: &'c [T],
    reasons: &[Reason<'_, T>],
) -> Option<(&'c T, usize)> {
    let mut left: Vec<&T> = candidates.iter().collect();
    for (number, reason) in reasons.iter().enumerate() {
        let kept: Vec<&T> = left
            .iter()
            .copied()
            .filter(|candidate| reason(candidate))
            .collect();
        match kept.as_slice() {
            [] => {}
            [one] => return Some((one, number)),
            _ => left = kept,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_narrow_until_one_is_left() {
        let even: Reason<'_, i32> = &|number| number % 2 == 0;
        let large: Reason<'_, i32> = &|number| *number > 2;
        let negative: Reason<'_, i32> = &|number| *number < 0;
        assert_eq!(choose(&[1, 2, 3, 4], &[even, large]), Some((&4, 1)));
        assert_eq!(choose(&[1, 2, 3], &[negative, even]), Some((&2, 1)));
        assert_eq!(choose(&[2, 4], &[even]), None);
        assert_eq!(choose(&[], &[even]), None);
    }
}
