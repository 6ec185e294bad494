# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_runner_global_optspecs
    string join \n h/help V/version
end

function __fish_runner_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_runner_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_runner_using_subcommand
    set -l cmd (__fish_runner_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c runner -n "__fish_runner_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c runner -n "__fish_runner_needs_command" -s V -l version -d 'Print version'
complete -c runner -n "__fish_runner_needs_command" -f -a "exec" -d 'Run one command under a watchdog'
complete -c runner -n "__fish_runner_needs_command" -f -a "op" -d 'Run one built-in operation under a watchdog'
complete -c runner -n "__fish_runner_needs_command" -f -a "batch" -d 'Run many jobs, so many at a time, under one watchdog'
complete -c runner -n "__fish_runner_needs_command" -f -a "task" -d 'Keep jobs in a queue, and have them run in the background'
complete -c runner -n "__fish_runner_needs_command" -f -a "worker" -d 'Run the tasks of the queue, or see to the process that does'
complete -c runner -n "__fish_runner_needs_command" -f -a "timeout" -d 'Run a command with a time limit, as timeout(1) does'
complete -c runner -n "__fish_runner_needs_command" -f -a "notify" -d 'Tell the runner of this job how far it is, and what it has'
complete -c runner -n "__fish_runner_needs_command" -f -a "history" -d 'Show how long jobs took, how they ended, and which timeout would suit them'
complete -c runner -n "__fish_runner_needs_command" -f -a "completions" -d 'Print the completions for a shell: bash, zsh or fish'
complete -c runner -n "__fish_runner_needs_command" -f -a "man" -d 'Print a man page, or write all of them into a directory'
complete -c runner -n "__fish_runner_needs_command" -f -a "schema" -d 'Print the JSON Schema of the answer, of events, or of an operation'
complete -c runner -n "__fish_runner_using_subcommand exec" -s c -d 'Run one line through a shell in place of a command' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l shell -d 'The shell for -c: sh, bash, or a path [default: sh]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l cwd -d 'Run in this directory' -r -f -a "(__fish_complete_directories)"
complete -c runner -n "__fish_runner_using_subcommand exec" -l env -d 'Set a variable for the job; may be repeated, later ones win' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l secret-env -d 'Set a variable whose value no record shows' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l stdin -d 'Standard input: inherit, null, or a file to read [default: inherit]' -r -F
complete -c runner -n "__fish_runner_using_subcommand exec" -l name -d 'What to call the job in answers' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -s t -l timeout -d 'Stop the job after so long; auto: by its history' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l max-timeout -d 'Let nothing extend the job beyond so long' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l idle-timeout -d 'Stop it after so long without output or CPU use' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l grace -d 'Time from the stop signal to KILL [default: 5s]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l signal -d 'The stop signal, name or number [default: TERM]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l signal-to -d 'First target of the stop signal: tree, group, command' -r -f -a "tree\t''
group\t''
command\t''"
complete -c runner -n "__fish_runner_using_subcommand exec" -l warn-after -d 'Warn once after so long, in a line on standard error' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l warn-signal -d 'Signal to send to the command with the warning' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l leftovers -d 'What outlives the job: report (default), kill, wait' -r -f -a "report\t''
kill\t''
wait\t''"
complete -c runner -n "__fish_runner_using_subcommand exec" -l retries -d 'Try a job that failed again, up to N times' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l retry-on -d 'Retry only these failures [default: any, but not 125 to 127]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l no-retry-on -d 'Never retry these failures; the same words, and they win' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l retry-delay -d 'Wait so long before the second attempt [default: 1s]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l retry-backoff -d 'Each further delay is so many times the last [default: 2]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l retry-max-delay -d 'No delay is longer than this [default: 30s, or --retry-delay]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l retry-timeout-growth -d 'After a timeout, allow so many times the time [default: 1]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l total-timeout -d 'Stop after so long, all attempts and delays together' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l retry-output -d 'Whose output appears in a pipe: last (default), all' -r -f -a "last\t''
all\t''"
complete -c runner -n "__fish_runner_using_subcommand exec" -l report -d 'Also write the JSON answer to this file' -r -F
complete -c runner -n "__fish_runner_using_subcommand exec" -l capture-limit -d 'Keep so much of each stream for the answer [default: 256K]' -r
complete -c runner -n "__fish_runner_using_subcommand exec" -l log -d 'Also write every byte of both streams to this file, as it comes' -r -F
complete -c runner -n "__fish_runner_using_subcommand exec" -l progress -d 'How progress is shown: auto, bar, lines, json, none [default: auto]' -r -f -a "auto\t''
bar\t''
lines\t''
json\t''
none\t''"
complete -c runner -n "__fish_runner_using_subcommand exec" -l record -d 'Keep in the history how long it took and how it ended' -r -f -a "yes\t''
no\t''"
complete -c runner -n "__fish_runner_using_subcommand exec" -l pty -d 'Give the command a pseudo-terminal for its output'
complete -c runner -n "__fish_runner_using_subcommand exec" -l env-clear -d 'Start the job with an empty environment, plus --env and --secret-env'
complete -c runner -n "__fish_runner_using_subcommand exec" -l sd-notify -d 'Name the job\'s socket in NOTIFY_SOCKET too'
complete -c runner -n "__fish_runner_using_subcommand exec" -l json -d 'Print one JSON answer in place of the job\'s output'
complete -c runner -n "__fish_runner_using_subcommand exec" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand exec" -s v -l verbose -d 'Say more, such as which configuration files were read'
complete -c runner -n "__fish_runner_using_subcommand exec" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l cwd -d 'Run in this directory' -r -f -a "(__fish_complete_directories)"
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l env -d 'Set a variable for the job; may be repeated, later ones win' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l secret-env -d 'Set a variable whose value no record shows' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l stdin -d 'Standard input: inherit, null, or a file to read [default: inherit]' -r -F
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l name -d 'What to call the job in answers' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -s t -l timeout -d 'Stop the job after so long; auto: by its history' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l max-timeout -d 'Let nothing extend the job beyond so long' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l idle-timeout -d 'Stop it after so long without output or CPU use' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l grace -d 'Time from the stop signal to KILL [default: 5s]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l signal -d 'The stop signal, name or number [default: TERM]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l signal-to -d 'First target of the stop signal: tree, group, command' -r -f -a "tree\t''
group\t''
command\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l warn-after -d 'Warn once after so long, in a line on standard error' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l warn-signal -d 'Signal to send to the command with the warning' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l leftovers -d 'What outlives the job: report (default), kill, wait' -r -f -a "report\t''
kill\t''
wait\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retries -d 'Try a job that failed again, up to N times' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retry-on -d 'Retry only these failures [default: any, but not 125 to 127]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l no-retry-on -d 'Never retry these failures; the same words, and they win' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retry-delay -d 'Wait so long before the second attempt [default: 1s]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retry-backoff -d 'Each further delay is so many times the last [default: 2]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retry-max-delay -d 'No delay is longer than this [default: 30s, or --retry-delay]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retry-timeout-growth -d 'After a timeout, allow so many times the time [default: 1]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l total-timeout -d 'Stop after so long, all attempts and delays together' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l retry-output -d 'Whose output appears in a pipe: last (default), all' -r -f -a "last\t''
all\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l report -d 'Also write the JSON answer to this file' -r -F
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l capture-limit -d 'Keep so much of each stream for the answer [default: 256K]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l log -d 'Also write every byte of both streams to this file, as it comes' -r -F
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l progress -d 'How progress is shown: auto, bar, lines, json, none [default: auto]' -r -f -a "auto\t''
bar\t''
lines\t''
json\t''
none\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l record -d 'Keep in the history how long it took and how it ended' -r -f -a "yes\t''
no\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l env-clear -d 'Start the job with an empty environment, plus --env and --secret-env'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l sd-notify -d 'Name the job\'s socket in NOTIFY_SOCKET too'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l json -d 'Print one JSON answer in place of the job\'s output'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -s v -l verbose -d 'Say more, such as which configuration files were read'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -l list -d 'List the operations there are; with --json for programs'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "archive" -d 'Put files and trees into a tar archive'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "copy" -d 'Copy files and trees, each file whole or not at all'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "extract" -d 'Extract a tar archive, safely'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "fetch" -d 'Download a file, whole or not at all'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "hash" -d 'Hash files and trees, or check checksums'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "post" -d 'Send a file to a web server'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "sleep" -d 'Sleep, with progress'
complete -c runner -n "__fish_runner_using_subcommand op; and not __fish_seen_subcommand_from archive copy extract fetch hash post sleep wait-for" -f -a "wait-for" -d 'Wait for ports, URLs, files, processes or commands'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from archive" -s o -l output -d 'The archive to write; its name says the form: .tar, .tar.gz, .tgz, .tar.zst, .tzst; - is standard output' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from archive" -s C -l directory -d 'The folder that the PATHs are relative to' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from archive" -l format -d 'The form, where the name does not say it' -r -f -a "tar\t''
tar.gz\t''
tar.zst\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from archive" -l level -d 'How hard to compress: 0 to 9 for gzip, 1 to 22 for Zstandard' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from archive" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from copy" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from extract" -s C -l directory -d 'The existing folder to extract into' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from extract" -l format -d 'The form, where the name does not say it' -r -f -a "tar\t''
tar.gz\t''
tar.zst\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from extract" -l max-size -d 'Refuse to write more than this in all' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from extract" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -s o -l output -d 'Where to put it; - is standard output' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -l sha256 -d 'What its SHA-256 must be: 64 hexadecimal digits' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -l retries -d 'How often to try again in a row without getting any further' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -l retry-delay -d 'The pause before the first retry; each further one is about twice as long, up to 30s' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -l connect-timeout -d 'How long it may take to connect' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -l stall-timeout -d 'A connection that is silent for so long counts as broken' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -l header -d 'A header to send, as \'NAME: VALUE\'; may be given more than once' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from fetch" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from hash" -l algorithm -d 'The digest function' -r -f -a "sha256\t''
blake3\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from hash" -s c -l check -d 'Read checksums from the FILEs and check them'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from hash" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -s b -l body -d 'The file to send; - is standard input; without it nothing is sent' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l content-type -d 'What the body is, such as application/json [default: application/octet-stream]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l header -d 'A header to send, as \'NAME: VALUE\'; may be given more than once' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l method -d 'The request\'s method: POST or PUT' -r -f -a "POST\t''
PUT\t''"
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l retries -d 'How often to try again; the server may then get it more than once' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l retry-delay -d 'The pause before the first retry; each further one is about twice as long, up to 30s' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l connect-timeout -d 'How long it may take to connect' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -l stall-timeout -d 'A connection that is silent for so long counts as broken' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from post" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from sleep" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from wait-for" -l status -d 'The HTTP status that counts: numbers and ranges such as 200,204,300-399 [default: 200-299]' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from wait-for" -l body -d 'The body of the HTTP answer must match, within its first MiB' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from wait-for" -l interval -d 'How long to pause between two attempts; at least 10ms' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from wait-for" -l stable -d 'It must hold for so long, without interruption' -r
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from wait-for" -l any -d 'One of the targets is enough'
complete -c runner -n "__fish_runner_using_subcommand op; and __fish_seen_subcommand_from wait-for" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand batch" -s c -d 'Run one line through a shell in place of a command' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l shell -d 'The shell for -c and for lines of a list: sh, bash, or a path [default: sh]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -s a -l arg-file -d 'Take the items from a file; may be repeated' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -s n -l max-args -d 'Give so many items to one job [default: 1]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -s I -l replace -d 'Placeholder for the item in place of {}' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -s j -l jobs -d 'Run so many at once [default: number of CPUs]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l max-load -d 'Begin no job while the load is higher, though one always runs' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l min-free-memory -d 'Begin no job while less memory is free, though one always runs' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -s t -l timeout -d 'Stop a job after so long, or N% of the median' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l timeout-floor -d 'Let no timeout that is a share of the median be shorter [default: 1s]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l total-timeout -d 'Stop the whole batch after so long' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l signal-to -d 'First target of the stop signal: tree, group, command' -r -f -a "tree\t''
group\t''
command\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l warn-after -d 'Warn once after so long, in a line on standard error' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l warn-signal -d 'Signal to send to the command with the warning' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l retry-on -d 'Retry only these failures [default: any, but not 125 to 127]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l no-retry-on -d 'Never retry these failures; the same words, and they win' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l retry-delay -d 'Wait so long before the second attempt [default: 1s]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l retry-backoff -d 'Each further delay is so many times the last [default: 2]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l retry-max-delay -d 'No delay is longer than this [default: 30s, or --retry-delay]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l retry-timeout-growth -d 'After a timeout, allow so many times the time [default: 1]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l report -d 'Also write the JSON answer of each job to a file of its own' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l log -d 'Also write every byte of a job\'s output to a file of its own, as it comes' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l capture-limit -d 'Keep so much of each stream for the answer [default: 256K]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l progress -d 'How progress is shown: auto, bar, lines, json, none [default: auto]' -r -f -a "auto\t''
bar\t''
lines\t''
json\t''
none\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l results -d 'Write the answers of all jobs to this file, or into this folder' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l junit -d 'Write a JUnit report, as CI systems read it' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l joblog -d 'Write a log in the columns of GNU parallel\'s' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l ci -d 'Speak to a CI system: github, gitlab, teamcity, none' -r -f -a "github\t''
gitlab\t''
teamcity\t''
none\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l record -d 'Keep in the history how long it took and how it ended' -r -f -a "yes\t''
no\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l fail-fast -d 'Begin no job after a failure; now: stop all' -r -f -a "soft\t''
now\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l max-failures -d 'Begin no job once so many have failed' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l journal -d 'Keep the record that --resume needs' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l journal-sync -d 'How the journal reaches the disk: group (default), each' -r -f -a "group\t''
each\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l resume -d 'Run what did not succeed in an earlier run' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l resume-only -d 'Of those run only: failed, unfinished, timeout' -r -f -a "failed\t''
unfinished\t''
timeout\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l secret-env -d 'Set a variable whose value no record shows' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l cwd -d 'Run in this directory' -r -f -a "(__fish_complete_directories)"
complete -c runner -n "__fish_runner_using_subcommand batch" -l env -d 'Set a variable for the job; may be repeated, later ones win' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l max-timeout -d 'Let nothing extend the job beyond so long' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l idle-timeout -d 'Stop it after so long without output or CPU use' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l grace -d 'Time from the stop signal to KILL [default: 5s]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l signal -d 'The stop signal, name or number [default: TERM]' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l leftovers -d 'What outlives the job: report (default), kill, wait' -r -f -a "report\t''
kill\t''
wait\t''"
complete -c runner -n "__fish_runner_using_subcommand batch" -l stdin -d 'Standard input: inherit, null, or a file to read [default: null]' -r -F
complete -c runner -n "__fish_runner_using_subcommand batch" -l retries -d 'Try a job that failed again, up to N times' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l name -d 'What to call jobs in answers that have no name of their own' -r
complete -c runner -n "__fish_runner_using_subcommand batch" -l each -d 'Run a command for each line of standard input'
complete -c runner -n "__fish_runner_using_subcommand batch" -l link -d 'Pair the items of several inputs, one from each, in place of combining all'
complete -c runner -n "__fish_runner_using_subcommand batch" -s 0 -l null -d 'Items end with a NUL byte, as find -print0 writes them, and not with a newline'
complete -c runner -n "__fish_runner_using_subcommand batch" -l dry-run -d 'Print the jobs and run none'
complete -c runner -n "__fish_runner_using_subcommand batch" -s k -l keep-order -d 'Print outputs in the order of the list'
complete -c runner -n "__fish_runner_using_subcommand batch" -l line-buffer -d 'Print whole lines as they come, not each job\'s output as one'
complete -c runner -n "__fish_runner_using_subcommand batch" -l tag -d 'Print before each line whose it is: its item, its id or its number'
complete -c runner -n "__fish_runner_using_subcommand batch" -s u -l ungroup -d 'Let jobs write as they like, mixed as it comes'
complete -c runner -n "__fish_runner_using_subcommand batch" -s q -l quiet -d 'Print neither outputs nor a summary'
complete -c runner -n "__fish_runner_using_subcommand batch" -l json -d 'Print a JSON answer for each job, one a line'
complete -c runner -n "__fish_runner_using_subcommand batch" -s v -l verbose -d 'Say more, such as which configuration files were read'
complete -c runner -n "__fish_runner_using_subcommand batch" -l env-clear -d 'Start the job with an empty environment, plus --env and --secret-env'
complete -c runner -n "__fish_runner_using_subcommand batch" -l sd-notify -d 'Name the job\'s socket in NOTIFY_SOCKET too'
complete -c runner -n "__fish_runner_using_subcommand batch" -s h -l help -d 'Print help; --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "submit" -d 'Put a job into the queue, and print its id'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "list" -d 'List tasks, the newest first'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "status" -d 'Tell all about a task'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "wait" -d 'Wait until tasks are over, and leave as they did'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "logs" -d 'Print the output of a task'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "cancel" -d 'Stop tasks, or take them out of the queue'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "extend" -d 'Give a running task more time'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "retry" -d 'Queue finished tasks again'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "priority" -d 'Give a task another priority'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "pause" -d 'Begin no more tasks; those that run go on'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "resume" -d 'Begin tasks again after a pause'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "stats" -d 'Print figures about the queue'
complete -c runner -n "__fish_runner_using_subcommand task; and not __fish_seen_subcommand_from submit list status wait logs cancel extend retry priority pause resume stats clean" -f -a "clean" -d 'Remove finished tasks with their logs'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -s c -d 'Run one line through a shell in place of a command' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l shell -d 'The shell for -c and for lines of a list: sh, bash, or a path [default: sh]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l from -d 'Submit every job of a list, as batch reads it' -r -F
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l priority -d 'critical, high, normal (default) or low' -r -f -a "critical\t''
high\t''
normal\t''
low\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l after -d 'Begin once this task has completed; may be repeated' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l at -d 'Begin at that time, such as 22:30' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l delay -d 'Begin after so long' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l group -d 'Put it into this group' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l on-crash -d 'Where its worker dies: fail (default), or retry' -r -f -a "fail\t''
retry\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l on-done -d 'Run this line once it is over' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l on-done-timeout -d 'Stop that line after so long [default: 60s]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l webhook -d 'Post the answer to this URL once it is over' -r -f
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l secret-env -d 'Set a variable whose value no record shows' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l name -d 'What to call the job in answers' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -s t -l timeout -d 'Stop the job after so long; auto: by its history' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l signal-to -d 'First target of the stop signal: tree, group, command' -r -f -a "tree\t''
group\t''
command\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l warn-after -d 'Warn once after so long, in a line on standard error' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l warn-signal -d 'Signal to send to the command with the warning' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retries -d 'Try a job that failed again, up to N times' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retry-on -d 'Retry only these failures [default: any, but not 125 to 127]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l no-retry-on -d 'Never retry these failures; the same words, and they win' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retry-delay -d 'Wait so long before the second attempt [default: 1s]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retry-backoff -d 'Each further delay is so many times the last [default: 2]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retry-max-delay -d 'No delay is longer than this [default: 30s, or --retry-delay]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retry-timeout-growth -d 'After a timeout, allow so many times the time [default: 1]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l total-timeout -d 'Stop after so long, all attempts and delays together' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l capture-limit -d 'Keep so much of each stream for the answer [default: 256K]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l log -d 'Also write every byte of both streams to this file, as it comes' -r -F
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l cwd -d 'Run in this directory' -r -f -a "(__fish_complete_directories)"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l env -d 'Set a variable for the job; may be repeated, later ones win' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l max-timeout -d 'Let nothing extend the job beyond so long' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l idle-timeout -d 'Stop it after so long without output or CPU use' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l grace -d 'Time from the stop signal to KILL [default: 5s]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l signal -d 'The stop signal, name or number [default: TERM]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l leftovers -d 'What outlives the job: report (default), kill, wait' -r -f -a "report\t''
kill\t''
wait\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l stdin -d 'Standard input: null, or a file to read [default: null]' -r -F
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l report -d 'With --wait, also write the JSON answer to this file' -r -F
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l progress -d 'With --wait, how progress is shown: auto, bar, lines, json, none [default: auto]' -r -f -a "auto\t''
bar\t''
lines\t''
json\t''
none\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l retry-output -d 'Whose output appears in a pipe: last (default), all' -r -f -a "last\t''
all\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l record -d 'Keep in the history how long it took and how it ended' -r -f -a "yes\t''
no\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l pty -d 'Refused with a reason, which is more than an unknown option would tell'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l inherit-env -d 'Pass on every variable that is set here, not only the harmless ones'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l wait -d 'Stay until it is over, and leave as exec would'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l env-clear -d 'Start the job with an empty environment, plus --env and --secret-env'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l sd-notify -d 'Name the job\'s socket in NOTIFY_SOCKET too'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -s v -l verbose -d 'Say more, such as which configuration files were read'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -l json -d 'Print a JSON answer in place of the id'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from submit" -s q -l quiet -d 'Print the id and nothing else'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -l status -d 'Only those that stand so, such as pending,running' -r -f -a "pending\t''
running\t''
completed\t''
failed\t''
cancelled\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -l group -d 'Only tasks of this group' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -l limit -d 'At most so many, the newest first [default: 50]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from status" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from wait" -l for -d 'Wait no longer than that' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from wait" -l progress -d 'How progress is shown: auto, bar, lines, json, none [default: auto]' -r -f -a "auto\t''
bar\t''
lines\t''
json\t''
none\t''"
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from wait" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from wait" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from wait" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on as more is written, until the task is over'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from logs" -l stderr -d 'Only what it wrote to standard error'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from logs" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from logs" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from cancel" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from cancel" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from cancel" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from extend" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from extend" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from extend" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from extend" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from retry" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from retry" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from priority" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from priority" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from priority" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from priority" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from pause" -l group -d 'Only this group [default: all]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from pause" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from pause" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from pause" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from pause" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from resume" -l group -d 'Only this group [default: all]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from resume" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from resume" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from resume" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from stats" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from stats" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from stats" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from clean" -l older-than -d 'Only those over for so long [default: 1h]' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from clean" -l status -d 'Only those that ended so: completed, failed, cancelled' -r
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from clean" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from clean" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from clean" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand task; and __fish_seen_subcommand_from clean" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand worker; and not __fish_seen_subcommand_from run status scale stop unit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c runner -n "__fish_runner_using_subcommand worker; and not __fish_seen_subcommand_from run status scale stop unit" -f -a "run" -d 'Be the worker: run the tasks of the queue'
complete -c runner -n "__fish_runner_using_subcommand worker; and not __fish_seen_subcommand_from run status scale stop unit" -f -a "status" -d 'Tell whether a worker runs, and what it does'
complete -c runner -n "__fish_runner_using_subcommand worker; and not __fish_seen_subcommand_from run status scale stop unit" -f -a "scale" -d 'Say how many tasks may run at once'
complete -c runner -n "__fish_runner_using_subcommand worker; and not __fish_seen_subcommand_from run status scale stop unit" -f -a "stop" -d 'Stop the worker once the running tasks are over, or now'
complete -c runner -n "__fish_runner_using_subcommand worker; and not __fish_seen_subcommand_from run status scale stop unit" -f -a "unit" -d 'Print a user unit for systemd'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from run" -l idle-exit -d 'Leave after so long without work [default: 5m]' -r
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from run" -l detached -d 'How runner starts the worker itself; not for people'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from run" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from status" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from scale" -l group -d 'Of this group [default: of all that have no slots of their own]' -r
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from scale" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from scale" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from scale" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from scale" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from stop" -l now -d 'Stop the tasks that run, too, and do not let them come to their own end'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from stop" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Say nothing beside the answer'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Say more'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand worker; and __fish_seen_subcommand_from unit" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand timeout" -s k -l kill-after -d 'Send KILL too, if the command still runs so long after the first signal' -r
complete -c runner -n "__fish_runner_using_subcommand timeout" -s s -l signal -d 'Send this signal at the timeout, a name or a number [default: TERM]' -r
complete -c runner -n "__fish_runner_using_subcommand timeout" -s f -l foreground -d 'Signal the command alone, and leave it in our process group'
complete -c runner -n "__fish_runner_using_subcommand timeout" -s p -l preserve-status -d 'Exit with the status of the command, even after a timeout'
complete -c runner -n "__fish_runner_using_subcommand timeout" -s v -l verbose -d 'Say on standard error which signals are sent'
complete -c runner -n "__fish_runner_using_subcommand timeout" -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand timeout" -l version -d 'Print the version'
complete -c runner -n "__fish_runner_using_subcommand notify" -l progress -d 'How far the job is: 0.42, 42% or 17/40' -r
complete -c runner -n "__fish_runner_using_subcommand notify" -l message -d 'What the job is doing, in a few words' -r
complete -c runner -n "__fish_runner_using_subcommand notify" -l partial -d 'What the job has so far, as JSON; handed back whatever ends it' -r
complete -c runner -n "__fish_runner_using_subcommand notify" -l extend -d 'The job needs so long from now on; never beyond --max-timeout' -r
complete -c runner -n "__fish_runner_using_subcommand notify" -l watchdog -d 'The job is alive: the idle time starts anew'
complete -c runner -n "__fish_runner_using_subcommand notify" -l stopping -d 'The job is stopping by itself'
complete -c runner -n "__fish_runner_using_subcommand notify" -l if-any -d 'Exit with 0 outside of a job'
complete -c runner -n "__fish_runner_using_subcommand notify" -s h -l help -d 'Print help: -h fits a screen, --help explains all options'
complete -c runner -n "__fish_runner_using_subcommand history" -l limit -d 'List so many at most [default: 50]; of one, look at so many runs at most [default: all]' -r
complete -c runner -n "__fish_runner_using_subcommand history" -l json -d 'Print one JSON answer'
complete -c runner -n "__fish_runner_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c runner -n "__fish_runner_using_subcommand completions" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand man" -l dir -d 'Write all pages into this directory' -r -f -a "(__fish_complete_directories)"
complete -c runner -n "__fish_runner_using_subcommand man" -s h -l help -d 'Print help'
complete -c runner -n "__fish_runner_using_subcommand schema" -s h -l help -d 'Print help'
