//! The request log: what was asked of the server, by whom, and how it was answered.
//!
//! Tests read it to hold promises such as "nothing is written while nothing changes". The log keeps the last
//! [`CAPACITY`] requests; marks are counted from the first request ever, so they stay valid when old entries go.

use std::collections::VecDeque;

use jiff::Timestamp;

/// How many requests the log remembers.
pub const CAPACITY: usize = 100_000;

/// What a request does, in the words of Kubernetes' authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one object or subresource.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one object.
    Delete,
    /// DELETE of a collection.
    DeleteCollection,
    /// Anything that is not about a resource, such as discovery or `/version`.
    Other,
}

impl Verb {
    /// The verb's name in rules and reviews.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get | Self::Other => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When it arrived, on the server's clock.
    pub at: Timestamp,
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query, decoded pairs.
    pub query: Vec<(String, String)>,
    /// What it does.
    pub verb: Verb,
    /// Group of the resource; empty for the core group and for [`Verb::Other`].
    pub group: String,
    /// Plural of the resource, with the subresource: `scaledobjects`, `deployments/scale`.
    pub resource: String,
    /// Namespace; empty for cluster-scoped requests.
    pub namespace: String,
    /// Name; empty for collections.
    pub name: String,
    /// Who asked.
    pub user: String,
    /// The client's own name for itself; may be empty.
    pub user_agent: String,
    /// The answer's HTTP status; `None` while it is not answered yet.
    pub status: Option<u16>,
}

impl Recorded {
    /// Whether the request changes (or tries to change) stored state. Reviews (tokens, access) are questions.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch | Verb::Other)
            && !matches!(self.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io")
    }
}

/// A point in the request log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(crate) u64);

impl Mark {
    /// Before the first request.
    pub const START: Self = Self(0);
}

/// The log itself.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Recorded>,
    /// Number of the first entry that is still kept.
    first: u64,
}

impl Log {
    /// Notes a request; answers its number.
    pub(crate) fn push(&mut self, request: Recorded) -> u64 {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(request);
        self.first + self.entries.len() as u64 - 1
    }

    pub(crate) fn answered(&mut self, number: u64, status: u16) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry.status = Some(status);
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.first + self.entries.len() as u64)
    }

    pub(crate) fn since(&self, mark: Mark) -> impl Iterator<Item = &Recorded> {
        let skip = usize::try_from(mark.0.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }
}
