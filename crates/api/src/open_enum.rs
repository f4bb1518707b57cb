//! Words of a schema enum as a Rust enum that loses nothing.
//!
//! The API server checks new objects, but objects stored under another version of a definition are served as they are.
//! A closed enum would turn one such object into a failed list of all of them, so each enum here has a variant
//! `Unrecognised` that keeps the word. The schema lists only the known words.

/// Declares an enum of words: `Variant = "word"`. Gives it `as_str`, `Display`, `From<&str>`, serde as a string, and a
/// JSON schema that admits the known words only.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A word that this version does not know, kept as it was stored.
            Unrecognised(String),
        }

        impl $name {
            /// Every word the schema admits, in the schema's order.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word, as it stands in a manifest.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )+
                    Self::Unrecognised(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $( $word => Self::$variant, )+
                    other => Self::Unrecognised(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(word.as_ref()))
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::WORDS })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::trigger_authentication::VaultSecretType;

    #[test]
    fn known_and_unknown_words_come_back() {
        for word in ["secret", "", "kv3"] {
            let known: VaultSecretType = serde_json::from_value(word.into()).unwrap();
            assert_eq!(known, VaultSecretType::from(word));
            assert_eq!(known.to_string(), word);
            assert_eq!(serde_json::to_value(&known).unwrap(), word);
        }
        assert_eq!(VaultSecretType::from("secret"), VaultSecretType::Secret);
        assert_eq!(VaultSecretType::from("kv3"), VaultSecretType::Unrecognised("kv3".into()));
        assert!(serde_json::from_value::<VaultSecretType>(1.into()).is_err());
    }

    #[test]
    fn the_schema_admits_known_words_only() {
        let schema = schemars::schema_for!(VaultSecretType);
        assert_eq!(schema.get("enum"), Some(&serde_json::json!(["", "secretV2", "secret", "pki"])));
        assert_eq!(schema.get("type"), Some(&"string".into()));
    }
}
