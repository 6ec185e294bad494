//! Finds jobs that wait for each other.

/// A ring in the graph, where each job has those that it needs, in the order of the arrows. None: there is none.
///
/// Without recursion, since a list may have a chain of a million jobs.
pub(super) fn find_cycle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; needs.len()];
    // The path so far: a job, and how many of its needs were looked at.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..needs.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::OnPath;
        path.push((start, 0));
        while let Some((job, looked_at)) = path.last_mut() {
            let job = *job;
            let Some(&need) = needs[job].get(*looked_at) else {
                marks[job] = Mark::Done;
                path.pop();
                continue;
            };
            *looked_at += 1;
            match marks[need] {
                Mark::New => {
                    marks[need] = Mark::OnPath;
                    path.push((need, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|(job, _)| *job == need).unwrap_or_default();
                    return Some(path[from..].iter().map(|(job, _)| *job).collect());
                }
                Mark::Done => {}
            }
        }
    }
    None
}
