//! Why an authentication reference or an environment could not be resolved. The texts end up in the Ready condition
//! and in events, so they name objects and keys, never values.

use keda_scaler::{Code, kube::ReadError};

use crate::ReadKey;

/// What is said of `provider: azure`, also by `keda lint`.
pub const RETIRED: &str = "podIdentity provider azure (AAD Pod Identity) is retired and was removed from KEDA: set the provider to \
                           azure-workload, keep identityId, and give that identity a federated credential for the operator's \
                           ServiceAccount";

/// Why parameters could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TriggerAuthentication or ClusterTriggerAuthentication of the reference does not exist.
    #[error("{0} not found")]
    NotFound(ReadKey),

    /// The reference's kind is neither of the two.
    #[error(
        "authenticationRef kind \"{0}\" is not known, it must be TriggerAuthentication or ClusterTriggerAuthentication"
    )]
    UnknownKind(String),

    /// A source of parameters that upstream has and this implementation does not have yet.
    #[error("{source_name} in {origin} is not supported yet")]
    Unsupported {
        /// The object that asks for it.
        origin: ReadKey,
        /// The source's field name, with the provider where that is what is missing.
        source_name: String,
    },

    /// The podIdentity is not valid. What admission refuses is said in its words.
    #[error("{text}, in {origin}")]
    Identity {
        /// The object that has it.
        origin: ReadKey,
        /// The field, what is wrong with it and what is allowed.
        text: String,
    },

    /// The pod identity of old, which nothing can give any more.
    #[error("{RETIRED}, in {origin} [{code}]", code = Code::AzurePodIdentityRetired)]
    Retired {
        /// The object that asks for it.
        origin: ReadKey,
    },

    /// `filePath` is used and cannot be.
    #[error("filePath \"{path}\" of {origin} {why}")]
    File {
        /// The object that names it.
        origin: ReadKey,
        /// The path as written.
        path: String,
        /// What is wrong with it.
        why: String,
    },

    /// The file of `filePath` is in the operator's container, and this is not the operator.
    #[error("filePath \"{path}\" of {origin} is a file of the operator's container")]
    ElsewhereFile {
        /// The object that names it.
        origin: ReadKey,
        /// The path as written.
        path: String,
    },

    /// The annotation that lists hosts cannot be read.
    #[error("annotation {annotation} of {origin}: {text}", annotation = keda_scaler::destinations::ANNOTATION)]
    Hosts {
        /// The object that has it.
        origin: ReadKey,
        /// The entry and what is allowed.
        text: String,
    },

    /// A secret store is not reached from this process, which is not the operator.
    #[error("{field} of {origin} is asked by the operator only")]
    ElsewhereStore {
        /// The object that names it.
        origin: ReadKey,
        /// The field, such as `hashiCorpVault`.
        field: &'static str,
    },

    /// A secret store did not give what was asked for.
    #[error("{field} of {origin}: {cause}")]
    Store {
        /// The object that names it.
        origin: ReadKey,
        /// The field, such as `hashiCorpVault`.
        field: &'static str,
        /// What is wrong and what to do, with a code.
        cause: keda_scaler::Error,
    },

    /// A ClusterTriggerAuthentication reads Secrets or ConfigMaps, and nobody said in which namespace.
    #[error(
        "{0} reads from the cluster object namespace, which is not known: set KEDA_CLUSTER_OBJECT_NAMESPACE"
    )]
    NoClusterObjectNamespace(ReadKey),

    /// The ServiceAccount whose token is a parameter does not exist.
    #[error("parameter \"{parameter}\" is a token of {object}, which does not exist")]
    MissingAccount {
        /// The parameter.
        parameter: String,
        /// Where it was looked for.
        object: ReadKey,
    },

    /// The object that a parameter or variable comes from does not exist.
    #[error("{what} is read from key \"{key}\" of {object}, which does not exist")]
    MissingObject {
        /// The parameter or variable, in words.
        what: String,
        /// The key that was wanted.
        key: String,
        /// Where it was looked for.
        object: ReadKey,
    },

    /// The object exists and lacks the key.
    #[error("{what} is read from key \"{key}\" of {object}, which has no such key")]
    MissingKey {
        /// The parameter, in words.
        what: String,
        /// The key that was wanted.
        key: String,
        /// Where it was looked for.
        object: ReadKey,
    },

    /// The whole object is a source of variables (`envFrom`) and does not exist.
    #[error("envFrom of container \"{container}\" names {object}, which does not exist")]
    MissingEnvFrom {
        /// The container that asks for it.
        container: String,
        /// Where it was looked for.
        object: ReadKey,
    },

    /// Bytes that are no text cannot be a parameter.
    #[error("key \"{key}\" of {object} is not valid UTF-8")]
    NotText {
        /// The key that was read.
        key: String,
        /// The object it is in.
        object: ReadKey,
    },

    /// A parameter comes from the target's environment, and the target has no pod template.
    #[error(
        "parameter \"{parameter}\" is read from environment variable \"{variable}\", but the target has no pod template"
    )]
    NoTemplate {
        /// The parameter.
        parameter: String,
        /// The variable.
        variable: String,
    },

    /// A parameter comes from an environment variable that the container does not set to anything that can be read.
    #[error(
        "parameter \"{parameter}\" is read from environment variable \"{variable}\", which container \"{container}\" does not set"
    )]
    MissingVariable {
        /// The parameter.
        parameter: String,
        /// The variable.
        variable: String,
        /// The container.
        container: String,
    },

    /// The container named does not exist. The text is upstream's (`pkg/scaling/resolver/scale_resolvers.go`).
    #[error("couldn't find container with name {0} on Target object")]
    NoContainer(String),

    /// The cluster could not be read.
    #[error("cannot read {object}: {cause}")]
    Read {
        /// What was read.
        object: ReadKey,
        /// Why it failed.
        cause: ReadError,
    },
}

impl Error {
    /// Whether trying again can succeed although nobody changes anything, because the API server or a secret store was
    /// away.
    pub fn temporary(&self) -> bool {
        match self {
            Self::Read { cause, .. } => cause.temporary,
            Self::Store { cause, .. } => cause.temporary(),
            _ => false,
        }
    }
}
