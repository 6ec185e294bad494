//! `runner completions`: the script that completes our words in a shell.
//!
//! Called by `main` and by the test that compares the scripts in the repository. It knows nothing of the options; they
//! come as a definition.

use clap::Command;

/// A shell that we can complete for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// The name that the script has where the shell looks for it.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Bash => "runner.bash",
            Self::Zsh => "_runner",
            Self::Fish => "runner.fish",
        }
    }
}

/// The script for `shell`.
pub fn script(mut command: Command, shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
