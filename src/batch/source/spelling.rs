//! Finds the word that somebody meant.

/// The most similar of these words, where one is similar enough to have been meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).collect();
    // A third of the word may be wrong, and of a short one a letter.
    let limit = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, left out, changed, or swapped with their neighbour.
fn distance(word: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().take(64).collect();
    let width = candidate.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (row, letter) in word.iter().enumerate() {
        let mut current = vec![row + 1; width];
        for (column, other) in candidate.iter().enumerate() {
            let change = last[column] + usize::from(letter != other);
            current[column + 1] = change.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && word[row - 1] == *other && *letter == candidate[column - 1];
            if swapped {
                current[column + 1] = current[column + 1].min(before_last[column - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[width - 1]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word() {
        let known = ["timeout", "retries", "retry-on", "cmd", "id", "env"];
        for (word, meant) in [("timout", "timeout"), ("timeuot", "timeout"), ("retrys", "retries"), ("cdm", "cmd")] {
            assert_eq!(nearest(word, known), Some(meant), "{word}");
        }
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
