//! Colours for text that people read, or none.

/// Dresses words, where colours are on.
pub(super) struct Paint {
    pub(super) on: bool,
}

impl Paint {
    fn wrap(&self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bad(&self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(super) fn warn(&self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    pub(super) fn good(&self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(super) fn dim(&self, text: &str) -> String {
        self.wrap("2", text)
    }
}
