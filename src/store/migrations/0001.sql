-- The queue as it was first. Times are milliseconds since the Unix epoch, durations microseconds.

CREATE TABLE tasks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  -- 0 pending, 1 running, 2 completed, 3 failed, 4 cancelled
  status INTEGER NOT NULL DEFAULT 0,
  -- 0 critical, 1 high, 2 normal, 3 low
  priority INTEGER NOT NULL,
  -- 1: nothing holds it back but slots and pauses
  ready INTEGER NOT NULL,
  -- tasks before it that are not over
  waits INTEGER NOT NULL DEFAULT 0,
  -- '' is the group of all tasks without one
  grp TEXT NOT NULL DEFAULT '',
  name TEXT,
  owner TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  -- when it may begin, by the clock; where boot is that of this boot, due_boot counts instead: milliseconds since it
  not_before INTEGER,
  due_boot INTEGER,
  boot TEXT,
  -- 0 fail, 1 retry
  on_crash INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  -- RUNNER_JOB_ID of its present or last run
  run TEXT,
  -- 1: it is to be cancelled
  wish INTEGER NOT NULL DEFAULT 0,
  timeout INTEGER,
  deadline_at INTEGER,
  waited INTEGER,
  duration INTEGER,
  cause TEXT,
  exit_code INTEGER,
  -- what it is called where it is shown
  command TEXT NOT NULL,
  -- tasks that are told of its end by these: JSON
  notices TEXT,
  -- the job: JSON
  job TEXT NOT NULL
);

CREATE INDEX tasks_by_status ON tasks (status, seq);
CREATE INDEX tasks_by_group ON tasks (grp, status, seq) WHERE grp <> '';
CREATE INDEX tasks_in_turn ON tasks (grp, priority, seq) WHERE status = 0 AND ready = 1;
CREATE INDEX tasks_to_come ON tasks (not_before) WHERE status = 0 AND ready = 0 AND waits = 0;
CREATE INDEX tasks_to_come_by_boot ON tasks (due_boot)
  WHERE status = 0 AND ready = 0 AND waits = 0 AND due_boot IS NOT NULL;
CREATE INDEX tasks_by_end ON tasks (status, finished_at, waited, duration) WHERE status >= 2;

-- task may begin once needed has completed
CREATE TABLE needs (
  task INTEGER NOT NULL,
  needed INTEGER NOT NULL,
  PRIMARY KEY (task, needed)
) WITHOUT ROWID;

CREATE INDEX needs_by_needed ON needs (needed);

-- values that are shown nowhere: NAME and value of variables
CREATE TABLE secrets (
  task INTEGER NOT NULL,
  name BLOB NOT NULL,
  value BLOB NOT NULL
);

CREATE INDEX secrets_by_task ON secrets (task);

-- the answer of a task that is over: an envelope
CREATE TABLE answers (
  task INTEGER PRIMARY KEY,
  envelope TEXT NOT NULL
);

-- what a running task told last
CREATE TABLE live (
  task INTEGER PRIMARY KEY,
  progress REAL,
  message TEXT,
  reported TEXT
);

-- moves of a live deadline; granted is NULL until the worker has seen it
CREATE TABLE extensions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  task INTEGER NOT NULL,
  asked_at INTEGER NOT NULL,
  by INTEGER NOT NULL,
  granted INTEGER
);

CREATE INDEX extensions_by_task ON extensions (task);
CREATE INDEX extensions_open ON extensions (seq) WHERE granted IS NULL;

-- notices that are due; kind is 0 for a command, 1 for a webhook; delivered is NULL until it was tried
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  task INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  target TEXT NOT NULL,
  timeout INTEGER,
  run TEXT,
  delivered INTEGER,
  error TEXT
);

CREATE INDEX outbox_by_task ON outbox (task);
CREATE INDEX outbox_due ON outbox (seq) WHERE delivered IS NULL;

-- slots is NULL for a group that shares those of all; the row '' holds the slots that are shared
CREATE TABLE groups (
  name TEXT PRIMARY KEY,
  slots INTEGER,
  paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

INSERT INTO groups (name, slots) VALUES ('', 4);

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- how many tasks there are of each kind, kept by the triggers below
CREATE TABLE tally (
  status INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  tasks INTEGER NOT NULL,
  PRIMARY KEY (status, priority)
) WITHOUT ROWID;

INSERT INTO tally (status, priority, tasks)
  SELECT s.column1, p.column1, 0 FROM (VALUES (0), (1), (2), (3), (4)) s, (VALUES (0), (1), (2), (3)) p;

CREATE TRIGGER tasks_counted AFTER INSERT ON tasks BEGIN
  UPDATE tally SET tasks = tasks + 1 WHERE status = new.status AND priority = new.priority;
END;

CREATE TRIGGER tasks_moved AFTER UPDATE OF status, priority ON tasks
WHEN old.status <> new.status OR old.priority <> new.priority BEGIN
  UPDATE tally SET tasks = tasks - 1 WHERE status = old.status AND priority = old.priority;
  UPDATE tally SET tasks = tasks + 1 WHERE status = new.status AND priority = new.priority;
END;

CREATE TRIGGER tasks_gone AFTER DELETE ON tasks BEGIN
  UPDATE tally SET tasks = tasks - 1 WHERE status = old.status AND priority = old.priority;
END;

-- what there ever was, cleaned away or not
CREATE TABLE lifetime (
  name TEXT PRIMARY KEY,
  tasks INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO lifetime (name, tasks)
  VALUES ('submitted', 0), ('completed', 0), ('failed', 0), ('cancelled', 0), ('timed_out', 0), ('worker_lost', 0);

-- what a history is of: jobs of a name, or of a command where they have none; command is what ran last, as it is shown;
-- runs is how many samples there ever were
CREATE TABLE history_subjects (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  name TEXT,
  command TEXT NOT NULL,
  last_at INTEGER NOT NULL,
  runs INTEGER NOT NULL
);

CREATE INDEX history_subjects_by_end ON history_subjects (last_at, id);

-- finished attempts of jobs, of the queue and of others that were asked to be kept; seq counts those of a subject
CREATE TABLE history (
  subject INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  -- success, failed, signal, timeout, idle, cancelled, not_started
  cause TEXT NOT NULL,
  exit_code INTEGER,
  attempt INTEGER NOT NULL,
  peak_memory INTEGER,
  PRIMARY KEY (subject, seq)
) WITHOUT ROWID;
