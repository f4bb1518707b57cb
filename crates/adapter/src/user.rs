//! Who asks.

use std::collections::BTreeMap;

/// A user as Kubernetes knows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATED_GROUP: &str = "system:authenticated";
const UNAUTHENTICATED_GROUP: &str = "system:unauthenticated";
const MASTERS_GROUP: &str = "system:masters";

impl User {
    /// Nobody in particular.
    pub(crate) fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED_GROUP.to_owned()], ..Self::default() }
    }

    /// As a member of `system:authenticated`, which everybody is whom an authenticator vouches for.
    pub(crate) fn authenticated(mut self) -> Self {
        let has = |group: &str| self.groups.iter().any(|g| g == group);
        if self.name != ANONYMOUS && !has(AUTHENTICATED_GROUP) && !has(UNAUTHENTICATED_GROUP) {
            self.groups.push(AUTHENTICATED_GROUP.to_owned());
        }
        self
    }

    /// Allowed everything, before anybody is asked.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS_GROUP)
    }

    /// Appends everything that a decision can depend on. Counts and lengths go first, so that no two users give the same bytes.
    pub(crate) fn append_key(&self, key: &mut Vec<u8>) {
        put(key, &self.name);
        put(key, &self.uid);
        put_all(key, &self.groups);
        put_number(key, self.extra.len());
        for (name, values) in &self.extra {
            put(key, name);
            put_all(key, values);
        }
    }
}

/// Appends a text that cannot be confused with what follows.
pub(crate) fn put(key: &mut Vec<u8>, text: &str) {
    put_number(key, text.len());
    key.extend_from_slice(text.as_bytes());
}

fn put_all(key: &mut Vec<u8>, texts: &[String]) {
    put_number(key, texts.len());
    for text in texts {
        put(key, text);
    }
}

fn put_number(key: &mut Vec<u8>, number: usize) {
    key.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_users_apart() {
        let key = |user: &User| {
            let mut key = Vec::new();
            user.append_key(&mut key);
            key
        };
        let user = |name: &str, groups: &[&str], extra: &[(&str, &[&str])]| User {
            name: name.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            extra: extra
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.iter().map(|v| (*v).to_owned()).collect()))
                .collect(),
            ..User::default()
        };
        let users = [
            user("a", &[], &[]),
            user("a", &["b"], &[]),
            user("ab", &[], &[]),
            user("a", &["b", "c"], &[]),
            user("a", &["bc"], &[]),
            user("a", &["b"], &[("c", &[])]),
            user("a", &[], &[("b", &["c"])]),
            user("a", &[], &[("b", &[]), ("c", &[])]),
        ];
        for (i, one) in users.iter().enumerate() {
            for other in &users[i + 1..] {
                assert_ne!(key(one), key(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn groups_of_everybody() {
        let user = User { name: "u".to_owned(), ..User::default() }.authenticated().authenticated();
        assert_eq!(user.groups, ["system:authenticated"]);
        assert_eq!(User::anonymous().authenticated(), User::anonymous());
    }
}
