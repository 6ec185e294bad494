-- how often its worker died while a task ran that is queued again then
ALTER TABLE tasks ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
