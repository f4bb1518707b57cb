//! Text that must never be shown.

use std::fmt;

/// A credential: a token, a password, a private key.
///
/// It prints as `<hidden>`, is not serialisable, and its text is reached only by [`Secret::expose`], so every place
/// that uses a credential can be found by that word. Two secrets can be compared and hashed: clients and answers are
/// shared by identity, and state is keyed by resolved credentials.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. The caller must not log it or put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with every occurrence of this secret replaced. Very short secrets are left alone: they would take ordinary
    /// words apart and protect nothing.
    pub fn hide_in(&self, text: &str) -> Option<String> {
        const SHORTEST: usize = 6;
        let secret = self.0.trim();
        (secret.len() >= SHORTEST && text.contains(secret)).then(|| text.replace(secret, HIDDEN))
    }
}

/// What stands in for a secret.
pub(crate) const HIDDEN: &str = "<hidden>";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "<hidden> Some(<hidden>)");
    }

    #[test]
    fn hiding_replaces_every_occurrence_but_leaves_short_words() {
        assert_eq!(
            Secret::new("abcdef\n").hide_in("x abcdef y abcdef").as_deref(),
            Some("x <hidden> y <hidden>")
        );
        assert_eq!(Secret::new("user").hide_in("the user is unknown"), None);
    }
}
