//! The catalogue of errors: kinds of failure that have a name of their own, and a page that says what to do.
//!
//! An [`Error`](crate::Error) of such a kind carries its [`Code`], in brackets in its text too, so the code stands in log,
//! event and condition alike. The pages in `docs/errors` are written from this table (`cargo xtask generate errors`).

mod aws;
mod google;
mod oauth;

use std::fmt;

/// What is known about one kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The heading.
    pub title: &'static str,
    /// What users see and search for, before the code.
    pub seen: &'static str,
    /// Why it happens, Markdown.
    pub cause: &'static str,
    /// What to do, Markdown.
    pub fix: &'static str,
}

/// An entry where it stands, or the name of one that stands elsewhere.
macro_rules! entry {
    ({ title: $title:literal, seen: $seen:literal, cause: $cause:literal, fix: $fix:literal $(,)? }) => {
        Entry { title: $title, seen: $seen, cause: $cause, fix: $fix }
    };
    (($entry:path)) => {
        $entry
    };
}

macro_rules! catalogue {
    ($( $(#[$doc:meta])* $variant:ident = $code:literal $entry:tt )+) => {
        /// A kind of failure with a page. Displays as its code, which never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $( $(#[$doc])* $variant, )+ }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as texts carry it: the name of its page.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            /// What its page says.
            pub fn entry(self) -> Entry {
                match self {
                    $( Self::$variant => entry!($entry), )+
                }
            }
        }
    };
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

catalogue! {
    /// No federated identity credential fits the token that was presented.
    AzureFederationMissing = "azure-federation-missing" {
        title: "No federated identity credential fits",
        seen: "AADSTS70021, AADSTS700211, AADSTS700212, AADSTS700213, AADSTS70025: No matching federated identity record found for presented assertion",
        cause: "Microsoft Entra knows the identity and has no federated identity credential on it whose issuer, subject and \
audience are those of the token that was presented. The three are compared byte by byte: a missing `/` at the end of the issuer, or \
another case, is another text. AADSTS700211 means that the issuer fits no credential, 700213 the subject, 700212 the audience; 70021 \
says only that nothing fits, 70025 that there is no credential at all.\n\nA credential that was just created is not known everywhere \
at once: for up to ten minutes the text says *may still be propagating, tried for 3m of 10m*. The operator goes on asking, and nothing \
has to be restarted.",
        fix: "Compare what the text says was presented with `az identity federated-credential list`, and run the line that the \
text ends with; it has issuer, subject and audience filled in:\n\n```sh\naz identity federated-credential create --name keda-operator \\\n  \
--identity-name \"$NAME\" --resource-group \"$GROUP\" \\\n  --issuer \"$(az aks show -g $GROUP -n $CLUSTER --query \
oidcIssuerProfile.issuerUrl -o tsv)\" \\\n  --subject system:serviceaccount:keda:keda-operator --audiences api://AzureADTokenExchange\n```\n\n\
With `identityId` in the TriggerAuthentication, the credential belongs on *that* identity. With `identityOwner: workload` the subject is \
the workload's own ServiceAccount.",
    }
    /// The client id is unknown in the tenant.
    AzureWrongClient = "azure-wrong-client" {
        title: "The client id is not known in the tenant",
        seen: "AADSTS700016, AADSTS7000229: Application with identifier was not found in the directory",
        cause: "There is no identity with this client id in the tenant that was asked: a typing error, the object id in place of \
the client id, an identity of another tenant, or one that was deleted.",
        fix: "`az identity show -g $GROUP -n $NAME --query '{client:clientId,tenant:tenantId}'` shows both ids. The client id comes \
from `identityId` of the TriggerAuthentication, else from AZURE_CLIENT_ID (the annotation `azure.workload.identity/client-id` of the \
operator's ServiceAccount, in the chart `podIdentity.azureWorkload.clientId`).",
    }
    /// The tenant does not exist, or not there.
    AzureWrongTenant = "azure-wrong-tenant" {
        title: "The tenant is not known at the login host",
        seen: "AADSTS90002, AADSTS900023, AADSTS50034, AADSTS500011: Tenant not found",
        cause: "The login host has no such tenant, or the tenant has no such account or resource: a wrong tenant id, or the login \
host of another cloud (US Government and China have their own).",
        fix: "`az account show --query tenantId` shows the tenant. It comes from `identityTenantId` of the TriggerAuthentication, \
else from AZURE_TENANT_ID (annotation `azure.workload.identity/tenant-id`, in the chart `podIdentity.azureWorkload.tenantId`). The login \
host comes from `identityAuthorityHost`, else AZURE_AUTHORITY_HOST, else from the trigger's `cloud`.",
    }
    /// The scope is not one that the tenant knows.
    AzureWrongScope = "azure-wrong-scope" {
        title: "The resource that a token is asked for is not known",
        seen: "AADSTS70011, AADSTS1002012, AADSTS500011: The provided value for scope is not valid",
        cause: "The scope does not belong to the cloud of the login host, or `azureManagedPrometheusResourceURL` is not the \
workspace's resource.",
        fix: "Set `cloud` in the trigger's metadata to the cloud that the workspace is in; for `Private` set \
`azureManagedPrometheusResourceURL` to the resource, with or without `/.default`.",
    }
    /// The presented token is not valid at the login host's time.
    AzureClockSkew = "azure-clock-skew" {
        title: "The clocks of cluster and login host differ",
        seen: "AADSTS700024: Client assertion is not within its valid time range",
        cause: "The ServiceAccount token was not valid yet, or not any more, by the login host's clock. Either the node's or the API \
server's clock is wrong, or a stale token was presented.",
        fix: "Compare `date -u` on the nodes with the time in the text, and mend time synchronisation there.",
    }
    /// The presented token is refused for itself.
    AzureAssertionRefused = "azure-assertion-refused" {
        title: "The ServiceAccount token is not believed",
        seen: "AADSTS700027, AADSTS50027, AADSTS5002738, AADSTS501661: Client assertion failed signature validation",
        cause: "Microsoft Entra could not verify the token with the keys that the cluster's issuer publishes: the issuer's URL is \
not reachable from the internet, its keys were rotated a moment ago, or the token comes from another cluster.",
        fix: "`curl $ISSUER/.well-known/openid-configuration` and the `jwks_uri` in it must work from anywhere. On AKS: \
`az aks update --enable-oidc-issuer --enable-workload-identity`.",
    }
    /// The file of the federated token cannot be used.
    AzureTokenFile = "azure-token-file" {
        title: "The federated token cannot be read",
        seen: "cannot read the federated token in AZURE_FEDERATED_TOKEN_FILE",
        cause: "The file that AZURE_FEDERATED_TOKEN_FILE names is missing, empty, or holds no token. Azure's webhook mounts it when \
the pod is created, if the pod has the label `azure.workload.identity/use: \"true\"`.",
        fix: "Check that the webhook `azure-wi-webhook` runs and delete the operator's pod once, so that it is made again. Or take the \
variable away: then the operator asks the API server for the token itself.",
    }
    /// The file of the federated token has not been renewed.
    AzureTokenStale = "azure-token-stale" {
        title: "The federated token has expired",
        seen: "the federated token expired",
        cause: "The kubelet renews the mounted token long before it expires. This one was not renewed: the kubelet is in trouble, the \
file is a copy, or this node's clock is ahead.",
        fix: "See `kubectl describe node` and the kubelet's log for the projected volume; never copy the token elsewhere.",
    }
    /// The API server gives no token of the ServiceAccount.
    AzureServiceAccountToken = "azure-service-account-token" {
        title: "The API server gives no ServiceAccount token",
        seen: "no token of ServiceAccount",
        cause: "No federated token is mounted, so the operator asks the API server for one (TokenRequest), and was refused: the \
ServiceAccount does not exist, or the operator has no permission.",
        fix: "Allow `get` on `serviceaccounts` and `create` on `serviceaccounts/token` for that ServiceAccount. The chart does so for \
the operator's own with `podIdentity.azureWorkload.enabled`, and for the workloads' with `podIdentity.azureWorkload.workloadIdentityOwner`; elsewhere \
add a Role.",
    }
    /// Something that identifies the identity is not given anywhere.
    AzureIdentityIncomplete = "azure-identity-incomplete" {
        title: "Client id, tenant or ServiceAccount is not given",
        seen: "azure workload identity is not complete (upstream: sources must contain at least one TokenCredential)",
        cause: "A token needs a client id, a tenant and a ServiceAccount token. The text names the one that is given nowhere: Azure's \
webhook injects them as AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE when the operator's ServiceAccount is annotated.",
        fix: "```sh\nkubectl annotate serviceaccount -n keda keda-operator azure.workload.identity/client-id=$CLIENT_ID \
azure.workload.identity/tenant-id=$TENANT_ID\n```\n\nor set `identityId` and `identityTenantId` in the TriggerAuthentication. The operator \
reads the annotations at its next try; it does not have to be restarted.",
    }
    /// The login host is not usable as written.
    AzureAuthority = "azure-authority" {
        title: "The login host is not usable",
        seen: "is no login host",
        cause: "`identityAuthorityHost` or AZURE_AUTHORITY_HOST is not an `https://` address, or the clouds `Private` and \
`AZURESTACKCLOUD` are used without naming one.",
        fix: "Write for instance `https://login.microsoftonline.com/`.",
    }
    /// The login host cannot be reached.
    AzureLoginUnreachable = "azure-login-unreachable" {
        title: "The login host cannot be reached",
        seen: "cannot reach the login host",
        cause: "Name resolution, routing, a firewall or a proxy between the operator and the login host. Nothing else is asked: air-gapped \
authorities need no way to the public cloud.",
        fix: "From the operator's network, `curl https://HOST/TENANT/v2.0/.well-known/openid-configuration` has to work. Allow the host in \
egress rules, or set HTTPS_PROXY and NO_PROXY on the operator.",
    }
    /// The login host does not answer in time.
    AzureLoginSlow = "azure-login-slow" {
        title: "The login host is slow",
        seen: "no token within",
        cause: "The login host, or the API server, did not answer within KEDA_HTTP_DEFAULT_TIMEOUT. The request goes on in the background, \
and the next poll finds its result.",
        fix: "If it stays so, look for a proxy or firewall that drops packets; raise KEDA_HTTP_DEFAULT_TIMEOUT (milliseconds).",
    }
    /// The login host's certificate is signed by a CA that is not trusted.
    AzureUnknownCa = "azure-unknown-ca" {
        title: "The certificate of the login host or workspace is not trusted",
        seen: "invalid peer certificate: UnknownIssuer",
        cause: "Somebody between the operator and Azure takes TLS apart (an inspecting proxy or firewall), or the endpoint is private with \
a CA of its own.",
        fix: "Put the CA's certificate, PEM, into the folder of `--ca-dir` (`/custom/ca`, in the chart `certificates.operator.caDirs`) and \
restart the operator.",
    }
    /// The login host answers 429.
    AzureThrottled = "azure-throttled" {
        title: "The login host asks to wait",
        seen: "AADSTS90055, AADSTS50196, status 429",
        cause: "Too many token requests from this tenant or address, usually from others: the operator asks about once an hour for each \
identity and scope, whatever the number of triggers.",
        fix: "Nothing: it is tried again when the login host allows it, and a token in hand is used until it expires.",
    }
    /// The login host answers 5xx.
    AzureLoginFailing = "azure-login-failing" {
        title: "The login host has trouble",
        seen: "AADSTS90033, status 500, 502, 503, 504",
        cause: "A failure on Microsoft's side, or of a proxy in between.",
        fix: "Nothing at first: it is tried again with growing pauses, and a token in hand is used until it expires. See the Azure status page.",
    }
    /// Any other refusal.
    AzureLoginRefused = "azure-login-refused" {
        title: "The login host refuses the identity",
        seen: "AADSTS and another number",
        cause: "The login host says why in its own words, which the text begins with; for instance a conditional access policy for workload \
identities (AADSTS53003).",
        fix: "Look the number up at `https://login.microsoftonline.com/error?code=NUMBER`.",
    }
    /// The retired pod identity.
    AzurePodIdentityRetired = "azure-pod-identity-retired" {
        title: "podIdentity provider azure is retired",
        seen: "podIdentity provider azure",
        cause: "AAD Pod Identity was retired by Microsoft and removed from KEDA 2.15. Microsoft Entra workload identity replaces it.",
        fix: "In the TriggerAuthentication set `provider: azure-workload`; `identityId` stays the client id. Then give that identity a \
federated credential for the operator's ServiceAccount: see [azure-federation-missing](azure-federation-missing.md).",
    }
    /// The workspace answers 401.
    AzureWorkspaceUnauthorized = "azure-workspace-unauthorized" {
        title: "The workspace does not accept the token",
        seen: "prometheus query api returned error. status: 401",
        cause: "The token is for another audience or from another tenant than the workspace's. It was renewed once and refused again.",
        fix: "Set `cloud` to the workspace's cloud, `azureManagedPrometheusResourceURL` to its resource where the cloud is `Private`, and \
`identityTenantId` to its tenant.",
    }
    /// The workspace answers 403.
    AzureWorkspaceForbidden = "azure-workspace-forbidden" {
        title: "The identity may not read the workspace",
        seen: "prometheus query api returned error. status: 403",
        cause: "The identity has no role on the Azure Monitor workspace that allows to read metrics. *Monitoring Reader* and *Contributor* do \
not: the role is *Monitoring Data Reader*. A role that was just assigned takes some minutes to count.",
        fix: "Run the line that the text ends with:\n\n```sh\naz role assignment create --assignee $CLIENT_ID --role \"Monitoring Data Reader\" \
--scope $WORKSPACE_RESOURCE_ID\n```\n\nNothing has to be restarted. Where workspace and scaled resources are in several subscriptions, the \
provider `Microsoft.Monitor` has to be registered in each.",
    }
    /// The address is not a query endpoint.
    AzureWorkspaceNotFound = "azure-workspace-not-found" {
        title: "The address is no query endpoint",
        seen: "prometheus query api returned error. status: 404",
        cause: "`serverAddress` is another address of the workspace: the metrics ingestion endpoint \
(`…metrics.ingest.monitor.azure.com`), the resource's ARM address (`https://management.azure.com/…`), or one with a path.",
        fix: "Use the query endpoint from the workspace's overview page: `az monitor account show -g $GROUP -n $WORKSPACE --query \
metrics.prometheusQueryEndpoint -o tsv` prints `https://NAME.REGION.prometheus.monitor.azure.com`.",
    }
    /// The workspace refuses the query.
    AzureWorkspaceQuery = "azure-workspace-query" {
        title: "The workspace does not take the query",
        seen: "prometheus query api returned error. status: 400, 422",
        cause: "400: the PromQL is not valid, the server's words say where. 422: it is valid and cannot be executed, for instance because \
it touches too many series.",
        fix: "Try the query in the workspace's Prometheus explorer. It has to give one element.",
    }
    /// The workspace answers 429.
    AzureWorkspaceThrottled = "azure-workspace-throttled" {
        title: "The workspace asks to wait",
        seen: "prometheus query api returned error. status: 429",
        cause: "The workspace's limit on queries is reached. Objects that ask the same query as the same identity in the same second share one \
request.",
        fix: "Raise `pollingInterval`, use `useCachedMetrics`, or raise the workspace's limits.",
    }
    /// The workspace answers 5xx.
    AzureWorkspaceFailing = "azure-workspace-failing" {
        title: "The workspace has trouble",
        seen: "prometheus query api returned error. status: 5xx",
        cause: "A failure on Microsoft's side, or of a proxy in between.",
        fix: "Nothing at first: the next poll asks again, nothing is scaled in meanwhile, and `fallback` applies where there is one.",
    }
    /// Credentials are not sent to a host.
    DestinationRefused = "destination-refused" {
        title: "Credentials are not sent to this host",
        seen: "are not sent to host, is sent to host, which this object chose",
        cause: "Credentials are bound to hosts. Either the annotation `keda-rs.dev/allowed-hosts` of the TriggerAuthentication does not list the \
host, or they belong to the cluster (the parameters of a ClusterTriggerAuthentication, the operator's own identity) while the address was \
chosen by whoever may write a ScaledObject in some namespace: they could have it sent to a server of their own. With \
`--credential-destinations=warn`, the default, the second is an event only.",
        fix: "List the hosts where the credentials belong:\n\n```sh\nkubectl annotate clustertriggerauthentication shared \
keda-rs.dev/allowed-hosts='prometheus.monitoring.svc, *.example.com'\n```\n\nFor all credentials of the cluster, give the operator \
`--credential-hosts`. See [where credentials may go](../authentication/destinations.md).",
    }
    /// What a TriggerAuthentication says about a Vault is not enough, or wrong.
    VaultIncomplete = "vault-incomplete" {
        title: "hashiCorpVault is not complete",
        seen: "could not get Vault token; mount is not set; is no address of a Vault",
        cause: "`address` is no `http://` or `https://` address, `authentication: kubernetes` lacks `mount` or `role`, `authentication: token` \
has no token, or an entry of `secrets` has a path or type that cannot be. Nothing was asked.",
        fix: "Set the field that the text names. With `authentication: token` the token stands in `credential.token`, or in VAULT_TOKEN of the \
operator, which goes before it.",
    }
    /// The ServiceAccount's token for a login cannot be had.
    VaultServiceAccount = "vault-service-account" {
        title: "The ServiceAccount token for the login at Vault cannot be had",
        seen: "credential.serviceAccount is not allowed; no token of ServiceAccount",
        cause: "`credential.serviceAccount` names a file outside of the folders that may be read, or one that holds no token of a ServiceAccount; \
or the API server gives the operator no token of the account in `credential.serviceAccountName`. Only the folder of the pod's own token may be \
read: whoever may write a TriggerAuthentication could otherwise have any file of the operator sent to an address of their own \
(GHSA-c4p6-qg4m-9jmr).",
        fix: "Prefer `serviceAccountName`: the account is one of the workload's namespace, and the operator needs `create` on \
`serviceaccounts/token` for it (in the chart `permissions.operator.restrict.serviceAccountTokenCreationRoles`). For a token of another \
audience, mount a projected volume into the operator and name its folder with `--vault-service-account-dir`.",
    }
    /// Vault refuses the login.
    VaultLoginRefused = "vault-login-refused" {
        title: "Vault refuses the login",
        seen: "cannot log in with role, Code: 403, permission denied, invalid role name, service account name not authorized",
        cause: "The auth method is not enabled at `mount`, the role does not exist, it is bound to other ServiceAccounts, namespaces or audiences \
than those of the token that was shown, or Vault may not review tokens of this cluster.",
        fix: "`vault read auth/MOUNT/role/ROLE` shows what the role is bound to. Without `credential` the operator's own ServiceAccount is shown, \
with `serviceAccountName` that account of the workload's namespace. `vault read auth/MOUNT/config` shows which cluster Vault asks.",
    }
    /// Vault does not take the token.
    VaultTokenRefused = "vault-token-refused" {
        title: "Vault does not take the token",
        seen: "the token is not valid, permission denied, bad token",
        cause: "`credential.token` (or VAULT_TOKEN of the operator, which goes before it) is unknown there, has expired or was revoked, belongs to \
another `namespace`, or may not look itself up, which the policy `default` allows.",
        fix: "`VAULT_ADDR=… VAULT_TOKEN=… vault token lookup` has to work. Tokens expire: `authentication: kubernetes` logs in anew by itself.",
    }
    /// The policy does not allow it.
    VaultForbidden = "vault-forbidden" {
        title: "The policy does not allow to read the secret",
        seen: "cannot read, permission denied",
        cause: "The token, or the policies of the role, do not allow `read` on the path (`update` for `type: pki`), or the path is another one than \
meant: in version 2 of the key-value engine, policies and paths contain `data/`.",
        fix: "`vault token capabilities TOKEN PATH` says what is allowed. For version 2:\n\n```hcl\npath \"secret/data/app\" {\n  \
capabilities = [\"read\"]\n}\n```",
    }
    /// There is no such secret or key.
    VaultSecretMissing = "vault-secret-missing" {
        title: "There is no such secret, or no such key in it",
        seen: "key does not exist, there are; there is no such secret; it has to be a text",
        cause: "Nothing is at the path, the newest version was deleted, or the secret has other keys: their names are in the text. Upstream goes on \
with an empty parameter.",
        fix: "`vault kv get -mount=secret app` shows keys; `path` is then `secret/data/app` for version 2 of the engine, `secret/app` for version 1. \
Values have to be texts.",
    }
    /// Vault has trouble.
    VaultFailing = "vault-failing" {
        title: "Vault has trouble, or is no Vault",
        seen: "Vault is sealed, status 5xx, 429, no JSON",
        cause: "It is sealed, starting, overloaded, or something else answers at the address.",
        fix: "`curl ADDRESS/v1/sys/health`. It is asked again; objects that run already go on with what they have.",
    }
    /// Vault cannot be reached.
    VaultUnreachable = "vault-unreachable" {
        title: "Vault cannot be reached",
        seen: "cannot connect, no answer within, UnknownIssuer, redirected",
        cause: "Name resolution, routing, a network policy, a proxy, a certificate that is not trusted, or a standby that redirects its clients.",
        fix: "Allow the operator's pods to reach the address. A private CA's certificate belongs into a folder of `--ca-dir`, or into a file that \
VAULT_CACERT of the operator names (in the chart `hashiCorpVaultTLS`). Objects that run already go on with what they have.",
    }
    /// The role's trust policy does not let the operator assume it.
    AwsAssumeRoleDenied = "aws-assume-role-denied" (aws::ASSUME_ROLE_DENIED)
    /// The role's trust policy does not know the operator's ServiceAccount.
    AwsWebIdentityDenied = "aws-web-identity-denied" (aws::WEB_IDENTITY_DENIED)
    /// IAM does not know the cluster's issuer, or does not believe its token.
    AwsWebIdentityRefused = "aws-web-identity-refused" (aws::WEB_IDENTITY_REFUSED)
    /// The web identity token cannot be read, or has expired.
    AwsTokenFile = "aws-token-file" (aws::TOKEN_FILE)
    /// Nothing gives the operator an identity.
    AwsIdentityMissing = "aws-identity-missing" (aws::IDENTITY_MISSING)
    /// The container credentials endpoint, of EKS Pod Identity for instance, gives none.
    AwsContainerCredentials = "aws-container-credentials" (aws::CONTAINER_CREDENTIALS)
    /// The node's metadata service gives no credentials.
    AwsInstanceMetadata = "aws-instance-metadata" (aws::INSTANCE_METADATA)
    /// A role that is none, or that nothing names.
    AwsRole = "aws-role" (aws::ROLE)
    /// The policy on external ids does not allow this one.
    AwsExternalId = "aws-external-id" (aws::EXTERNAL_ID)
    /// STS refuses for another reason.
    AwsStsRefused = "aws-sts-refused" (aws::STS_REFUSED)
    /// STS, or another source of credentials, cannot be reached.
    AwsUnreachable = "aws-unreachable" (aws::UNREACHABLE)
    /// Credentials are not there within the trigger's patience.
    AwsSlow = "aws-slow" (aws::SLOW)
    /// AWS asks to wait.
    AwsThrottled = "aws-throttled" (aws::THROTTLED)
    /// AWS answers 5xx.
    AwsFailing = "aws-failing" (aws::FAILING)
    /// The clocks differ by more than a signature allows.
    AwsClockSkew = "aws-clock-skew" (aws::CLOCK_SKEW)
    /// The keys or the session are not known.
    AwsKeysRefused = "aws-keys-refused" (aws::KEYS_REFUSED)
    /// The identity lacks a permission.
    AwsForbidden = "aws-forbidden" (aws::FORBIDDEN)
    /// No region is given.
    AwsRegion = "aws-region" (aws::REGION)
    /// The workspace does not exist there.
    AwsWorkspaceNotFound = "aws-workspace-not-found" (aws::WORKSPACE_NOT_FOUND)
    /// The secret is not there, or has no such value.
    AwsSecret = "aws-secret" (aws::SECRET)
    /// There are no Google credentials at all.
    GoogleNoCredentials = "google-no-credentials" (google::NO_CREDENTIALS)
    /// Credentials are there and cannot be used.
    GoogleCredentials = "google-credentials" (google::CREDENTIALS)
    /// Google refuses the credentials.
    GoogleCredentialsRefused = "google-credentials-refused" (google::CREDENTIALS_REFUSED)
    /// STS refuses the subject token.
    GoogleFederationRefused = "google-federation-refused" (google::FEDERATION_REFUSED)
    /// The subject token cannot be had.
    GoogleSubjectToken = "google-subject-token" (google::SUBJECT_TOKEN)
    /// The identity may not act as the service account.
    GoogleImpersonationDenied = "google-impersonation-denied" (google::IMPERSONATION_DENIED)
    /// The clocks differ.
    GoogleClockSkew = "google-clock-skew" (google::CLOCK_SKEW)
    /// Google's endpoint cannot be reached.
    GoogleUnreachable = "google-unreachable" (google::UNREACHABLE)
    /// Google's endpoint does not answer in time.
    GoogleTokenSlow = "google-token-slow" (google::TOKEN_SLOW)
    /// Google's endpoint answers 429 or 5xx.
    GoogleFailing = "google-failing" (google::FAILING)
    /// Managed Prometheus answers 401.
    GoogleQueryUnauthorized = "google-query-unauthorized" (google::QUERY_UNAUTHORIZED)
    /// Managed Prometheus answers 403.
    GoogleQueryForbidden = "google-query-forbidden" (google::QUERY_FORBIDDEN)
    /// Managed Prometheus answers 404.
    GoogleQueryNotFound = "google-query-not-found" (google::QUERY_NOT_FOUND)
    /// Secret Manager answers 403.
    GoogleSecretForbidden = "google-secret-forbidden" (google::SECRET_FORBIDDEN)
    /// Secret Manager has no such version.
    GoogleSecretMissing = "google-secret-missing" (google::SECRET_MISSING)
    /// Secret Manager's answer cannot be used.
    GoogleSecretAnswer = "google-secret-answer" (google::SECRET_ANSWER)
    /// An OAuth 2.0 server cannot be reached.
    OAuth2Unreachable = "oauth-unreachable" (oauth::UNREACHABLE)
    /// An OAuth 2.0 server refuses the client.
    OAuth2Refused = "oauth-refused" (oauth::REFUSED)
    /// An OAuth 2.0 server has trouble.
    OAuth2Failing = "oauth-failing" (oauth::FAILING)
    /// An OAuth 2.0 server does not answer in time.
    OAuth2TokenSlow = "oauth-token-slow" (oauth::TOKEN_SLOW)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_names_of_files() {
        let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
        }
    }

    #[test]
    fn every_entry_says_what_to_do() {
        for code in Code::ALL {
            let entry = code.entry();
            for text in [entry.title, entry.seen, entry.cause, entry.fix] {
                assert!(text.len() > 10, "{code}: {text:?}");
            }
        }
    }
}
