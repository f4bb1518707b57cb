//! Did you mean …?

/// How much of two words must be their common beginning to take one for the other, in percent of both.
const ALIKE: usize = 70;

/// The word that is most likely meant: equal but for case and `-_`, else not more than two letters away (one in short words),
/// else one that begins alike (`minReplicas`, `minReplicaCount`).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let given = plain(word);
    let allowed = if given.len() < 5 { 1 } else { 2 };
    let known: Vec<(&str, String)> =
        known.into_iter().filter(|known| *known != word).map(|known| (known, plain(known))).collect();
    let close = known.iter().map(|(known, plain)| (distance(&given, plain), *known));
    let close = close.filter(|(far, _)| *far <= allowed).min_by_key(|(far, _)| *far);
    let alike = || {
        let shares = known.iter().map(|(known, plain)| (common_beginning(&given, plain), *known));
        shares.filter(|(share, _)| *share >= ALIKE).max_by_key(|(share, _)| *share)
    };
    close.or_else(alike).map(|(_, known)| known)
}

/// The length of the common beginning, in percent of both words.
fn common_beginning(one: &str, other: &str) -> usize {
    let common = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    200 * common / (one.len() + other.len()).max(1)
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut next = vec![row];
        for column in 1..=to.len() {
            let same = from[row - 1] == to[column - 1];
            let mut least =
                (last[column - 1] + usize::from(!same)).min(last[column] + 1).min(next[column - 1] + 1);
            if row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1] {
                let swapped: &Vec<usize> = &before_last;
                least = least.min(swapped[column - 2] + 1);
            }
            next.push(least);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_are_seen_and_other_words_are_not() {
        let known = ["threshold", "serverAddress", "query", "name", "minReplicaCount", "maxReplicaCount"];
        for (word, meant) in [
            ("thresold", Some("threshold")),
            ("treshhold", Some("threshold")),
            ("Threshold", Some("threshold")),
            ("server_address", Some("serverAddress")),
            ("qurey", Some("query")),
            ("nmae", Some("name")),
            ("minReplicas", Some("minReplicaCount")),
            ("minimum", None),
            ("value", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
