//! The bars of a wait for tasks, at a terminal with a shell beside them.

use crate::support::terminal::desk::{GATE, desk, job};

#[test]
fn ctrl_z_takes_the_bars_of_a_wait_away_and_fg_brings_them_back() {
    let (scratch, _leash) = job(GATE);
    let mut terminal = desk(&scratch);
    terminal.run_line("id=$(runner task submit --name job -- sh job.sh)");
    terminal.line("runner task wait $id");
    terminal.picture_when("it shows the bar", |now| now.bar("job").is_some());
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    terminal.picture_when("the bar is away", |now| now.bar("job").is_none());
    terminal.line("fg");
    terminal.picture_when("it shows the bar again", |now| now.bar("job").is_some());
    scratch.write("go", "");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
    terminal.run_line("runner worker stop");
}
