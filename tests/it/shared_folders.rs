//! In a sticky directory, links of another user are not followed and files of another user are not written to.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::files::{names, peer};
use crate::support::{become_nobody, copy_program, folder, is_root, runner, runner_at, set_mode, skip};

const ANOTHER_USER: u32 = 12345;

/// `shared`, a world-writable sticky directory; `file` and `folder`, which are ours; and files to read.
struct Scene {
    place: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let place = folder();
        set_mode(place.path(), 0o755);
        for name in ["shared", "folder", "source"] {
            fs::create_dir(place.path().join(name)).expect("a folder");
        }
        set_mode(&place.path().join("shared"), 0o1777);
        fs::write(place.path().join("file"), "precious").expect("a file");
        fs::write(place.path().join("source/inside"), "from the source").expect("a file");
        fs::write(place.path().join("list"), "{\"id\": \"one\", \"cmd\": [\"true\"]}\n").expect("a file");
        peer(place.path(), "tar", &["-cf", "good.tar", "source"]);
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Changes the owner of an entry of `shared`, without following links.
    fn give_away(&self, name: &str) {
        lchown(self.path("shared").join(name), Some(ANOTHER_USER), None).expect("root can");
    }

    fn link(&self, name: &str, target: &str) {
        symlink(self.path(target), self.path("shared").join(name)).expect("a link");
        self.give_away(name);
    }

    fn run(&self, line: &str) -> Output {
        let mut command = runner();
        command.current_dir(self.place.path()).args(line.split(' '));
        command.output().expect("runner runs")
    }

    /// The error names the entry, and our files are unchanged.
    #[track_caller]
    fn assert_refused(&self, line: &str, name: &str) {
        self.assert_refusal(&self.run(line), line, name);
    }

    #[track_caller]
    fn assert_refusal(&self, output: &Output, line: &str, name: &str) {
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!output.status.success(), "{line}: {text}");
        let stated = format!("shared/{name} belongs to uid {ANOTHER_USER} and is not ");
        assert!(text.contains(&stated), "{line}: {text}");
        assert_eq!(fs::read_to_string(self.path("file")).expect("it is there"), "precious", "{line}");
        assert_eq!(names(&self.path("folder")), Vec::<String>::new(), "{line}");
    }
}

/// Lines that write to the file PATH.
const WRITERS: &[&str] = &[
    "exec --report PATH -- true",
    "exec --log PATH -- echo written",
    "op --report PATH sleep 0",
    "batch --joblog PATH list",
    "batch --junit PATH list",
    "batch --journal PATH list",
    "batch --results PATH list",
    "op copy source/inside PATH",
    "op archive --format tar -o PATH source",
];

/// Lines that create files in the directory PATH.
const FILLERS: &[&str] = &[
    "exec --report PATH/new -- true",
    "exec --log PATH/new -- echo written",
    "batch --joblog PATH/new list",
    "batch --junit PATH/new list",
    "batch --journal PATH/new list",
    "batch --results PATH/new list",
    "batch --results PATH/ list",
    "batch --results PATH/new/ list",
    "op copy source/inside PATH",
    "op copy source/inside PATH/new",
    "op copy source PATH",
    "op copy source/. PATH",
    "op archive -o PATH/new.tar source",
    "op extract good.tar -C PATH",
    "man --dir PATH",
    "man --dir PATH/new",
];

/// Lines that read the file PATH.
const READERS: &[&str] = &[
    "exec --stdin PATH -- cat",
    "batch PATH",
    "batch -a PATH -- echo",
    "op hash PATH",
    "op extract --format tar PATH -C source",
];

#[test]
fn a_link_of_another_user_is_not_followed_to_a_file() {
    if !is_root() {
        return skip("root", "only root can give a link away");
    }
    let scene = Scene::new();
    scene.link("link", "file");
    for line in WRITERS.iter().chain(READERS) {
        scene.assert_refused(&line.replace("PATH", "shared/link"), "link");
    }
    // The target does not matter, nor whether it exists.
    for target in ["folder/new", "/dev/stdout", "/proc/self/fd/1"] {
        fs::remove_file(scene.path("shared/link")).expect("it was there");
        scene.link("link", target);
        scene.assert_refused("exec --report shared/link -- true", "link");
        scene.assert_refused("exec --log shared/link -- echo written", "link");
        scene.assert_refused("op copy source/inside shared/link", "link");
    }
}

#[test]
fn a_link_of_another_user_is_not_followed_to_a_folder() {
    if !is_root() {
        return skip("root", "only root can give a link away");
    }
    let scene = Scene::new();
    scene.link("link", "folder");
    let job = "{\"cmd\": [\"touch\", \"made\"], \"cwd\": \"shared/link\"}\n";
    fs::write(scene.path("in-link.jsonl"), job).expect("a list");
    for line in FILLERS {
        scene.assert_refused(&line.replace("PATH", "shared/link"), "link");
    }
    for line in [
        "batch --json --log shared/link/{#} list",
        "batch --report shared/link/{#} list",
        "exec --cwd shared/link -- pwd",
        "batch --json --cwd shared/link -- pwd ::: x",
        "batch --json --cwd shared/link list",
        "batch --json in-link.jsonl",
    ] {
        scene.assert_refused(line, "link");
    }
    // A link of our own that leads through it is refused, too.
    symlink("shared/link", scene.path("ours")).expect("a link");
    for line in FILLERS {
        scene.assert_refused(&line.replace("PATH", "ours"), "link");
    }
    // So is reading through it.
    fs::remove_file(scene.path("shared/link")).expect("it was there");
    scene.link("link", "source");
    for line in READERS.iter().chain(&["op copy PATH folder", "op archive -o folder/new.tar PATH"]) {
        scene.assert_refused(&line.replace("PATH", "shared/link/inside"), "link");
    }
    scene.assert_refused("op copy shared/link/. folder", "link");
}

#[test]
fn a_file_of_another_user_is_neither_written_to_nor_replaced() {
    if !is_root() {
        return skip("root", "only root can give a file away");
    }
    let scene = Scene::new();
    fs::write(scene.path("shared/file"), "theirs").expect("a file");
    scene.give_away("file");
    set_mode(&scene.path("shared/file"), 0o666);
    // The same in a group-writable sticky directory.
    for mode in [0o1777, 0o1775] {
        set_mode(&scene.path("shared"), mode);
        for line in WRITERS {
            scene.assert_refused(&line.replace("PATH", "shared/file"), "file");
            assert_eq!(fs::read_to_string(scene.path("shared/file")).expect("it is there"), "theirs", "{line}");
        }
    }
    // Files of other users may be read.
    let output = scene.run("op hash shared/file");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_fifo_of_another_user_is_not_written_to() {
    if !is_root() {
        return skip("root", "only root can give a FIFO away");
    }
    let scene = Scene::new();
    peer(scene.place.path(), "mkfifo", &["shared/fifo"]);
    scene.give_away("fifo");
    // It has a reader, so that only the check can refuse the write.
    let _reader = fs::File::options().read(true).write(true).open(scene.path("shared/fifo")).expect("the FIFO");
    for line in WRITERS {
        scene.assert_refused(&line.replace("PATH", "shared/fifo"), "fifo");
    }
}

#[test]
fn an_ordinary_user_is_protected_as_root_is() {
    if !is_root() {
        return skip("root", "only root can act as two users");
    }
    let scene = Scene::new();
    copy_program(Path::new(env!("CARGO_BIN_EXE_runner")), &scene.path("runner"));
    scene.link("link", "file");
    set_mode(&scene.path("file"), 0o666);
    for line in ["exec --report shared/link -- true", "exec --log shared/link -- echo written"] {
        let mut command: Command = runner_at(&scene.path("runner"));
        become_nobody(&mut command);
        let output = command.current_dir(scene.place.path()).args(line.split(' ')).output().expect("runner runs");
        scene.assert_refusal(&output, line, "link");
    }
}

#[test]
fn a_link_of_another_user_is_replaced_by_a_copied_file() {
    if !is_root() {
        return skip("root", "only root can give a link away");
    }
    for line in ["op copy source/. shared", "op extract good.tar -C shared/.."] {
        let scene = Scene::new();
        scene.link("inside", "file");
        let output = scene.run(line);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_to_string(scene.path("file")).expect("it is there"), "precious");
    }
}

#[test]
fn entries_of_the_user_and_the_directory_owner_are_used() {
    let scene = Scene::new();
    symlink(scene.path("folder/new"), scene.path("shared/link")).expect("a link");
    symlink(scene.path("folder"), scene.path("shared/folder")).expect("a link");
    for (line, file) in [
        ("exec --log shared/link -- echo written", "folder/new"),
        ("exec --report shared/folder/report -- true", "folder/report"),
        ("op copy source/inside shared/folder", "folder/inside"),
        ("batch --results shared/folder/results/ list", "folder/results/one/envelope.json"),
    ] {
        let output = scene.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(scene.path(file).is_file(), "{line}");
    }
    if is_root() {
        // The owner of the directory is trusted; without the sticky bit all users are.
        fs::write(scene.path("folder/new"), "old").expect("a file");
        scene.give_away("link");
        for (owner, mode) in [(ANOTHER_USER, 0o1777), (0, 0o777)] {
            lchown(scene.path("shared"), Some(owner), None).expect("root can");
            set_mode(&scene.path("shared"), mode);
            let output = scene.run("exec --log shared/link -- echo written");
            assert!(output.status.success(), "{owner} {mode:o}: {output:?}");
            assert_eq!(fs::read_to_string(scene.path("folder/new")).expect("it is there"), "written\n");
        }
    }
}

#[cfg(feature = "fetch")]
#[test]
fn a_download_is_refused_before_the_request() {
    if !is_root() {
        return skip("root", "only root can give a link away");
    }
    let scene = Scene::new();
    scene.link("link", "file");
    scene.link("folder", "folder");
    for (path, name) in [("shared/link", "link"), ("shared/folder/new", "folder")] {
        let line = format!("op fetch http://127.0.0.1:1/ --retries 0 -o {path}");
        let output = scene.run(&line);
        // A request would be refused as well, but as one to a service that is not there.
        assert!(String::from_utf8_lossy(&output.stderr).contains("AUTHORIZATION_DENIED"), "{output:?}");
        scene.assert_refusal(&output, &line, name);
    }
}
