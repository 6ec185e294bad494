//! What an earlier run left: its journal read and repaired, its processes ended.
