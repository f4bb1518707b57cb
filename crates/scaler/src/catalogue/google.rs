//! The entries of Google.

use super::Entry;

pub(super) const NO_CREDENTIALS: Entry = Entry {
    title: "There are no Google application default credentials",
    seen: "no google application default credentials",
    cause: "`podIdentity.provider: gcp` means the operator's application default credentials: the file that \
GOOGLE_APPLICATION_CREDENTIALS names, else gcloud's file, else the metadata server of GCE and GKE. There is no file, and no metadata \
server of Google answers, or it has no service account: the cluster is not on Google Cloud, workload identity is off, a network policy \
forbids 169.254.169.254, or a proxy is used for it.",
    fix: "On GKE enable workload identity for cluster and node pool, and allow egress to 169.254.169.254 and, with Dataplane V2, \
169.254.169.252. Elsewhere mount a service account's key or a workload identity federation's file, and name it in \
GOOGLE_APPLICATION_CREDENTIALS (in the chart `env` and `volumes.keda`). Or give a key to one TriggerAuthentication as parameter \
`GoogleApplicationCredentials`.",
};

pub(super) const CREDENTIALS: Entry = Entry {
    title: "Google credentials cannot be used",
    seen: "the service account's key cannot be used, the google application default credentials cannot be used",
    cause: "The text says what is wrong with the JSON or its file. A key in a parameter, in `credentialsFromEnv` or in \
`credentialsFromEnvFile` must be of type `service_account`; the file in GOOGLE_APPLICATION_CREDENTIALS may be `authorized_user` or \
`external_account` (subject token from a file or URL) too. `credentialsFromEnvFile` names a file in the operator's container.",
    fix: "`gcloud iam service-accounts keys create key.json --iam-account EMAIL`, and store the file as it is: \
`kubectl create secret generic google-key --from-file=key.json`.",
};

pub(super) const CREDENTIALS_REFUSED: Entry = Entry {
    title: "Google does not accept the credentials",
    seen: "invalid_grant: Invalid JWT Signature, account not found",
    cause: "The key was deleted or disabled, its service account was, or gcloud's login was revoked. Google says which in its own words.",
    fix: "Compare the key's id in the text with `gcloud iam service-accounts keys list --iam-account EMAIL`, and make a new key if it is \
not there.",
};

pub(super) const FEDERATION_REFUSED: Entry = Entry {
    title: "The workload identity pool does not accept the token",
    seen: "invalid_grant, invalid_target, unauthorized_client: the given credential is rejected by the attribute condition",
    cause: "The subject token does not fit the provider of the pool: another issuer or audience, an attribute condition, an expired \
token; or pool and provider do not exist, or not yet everywhere.",
    fix: "The text shows issuer, subject and audience of the token that was presented. Compare them with `gcloud iam \
workload-identity-pools providers describe PROVIDER --workload-identity-pool POOL --location global`.",
};

pub(super) const SUBJECT_TOKEN: Entry = Entry {
    title: "The subject token of the federation cannot be read",
    seen: "cannot read the subject token",
    cause: "`credential_source` of the `external_account` file names a file or a URL that gives no token.",
    fix: "Mount a projected ServiceAccount token with the audience of the provider at that path, and check \
`credential_source.format`.",
};

pub(super) const IMPERSONATION_DENIED: Entry = Entry {
    title: "The identity may not act as the service account",
    seen: "Permission 'iam.serviceAccounts.getAccessToken' denied",
    cause: "The operator's ServiceAccount (or the pool's principal) is not bound to the Google service account with the role Workload \
Identity User, or the binding is not known everywhere yet: that takes some minutes.",
    fix: "Run the line that the text ends with:\n\n```sh\ngcloud iam service-accounts add-iam-policy-binding EMAIL \\\n  --role \
roles/iam.workloadIdentityUser --member \"serviceAccount:PROJECT.svc.id.goog[keda/keda-operator]\"\n```\n\nThe annotation \
`iam.gke.io/gcp-service-account` of the ServiceAccount (in the chart `podIdentity.gcp.gcpIAMServiceAccount`) names EMAIL. Nothing has to be \
restarted.",
};

pub(super) const CLOCK_SKEW: Entry = Entry {
    title: "The clocks of this node and of Google differ",
    seen: "Token must be a short-lived token and in a reasonable timeframe. Check your iat and exp values",
    cause: "What a key signs is valid for an hour around this node's time, and Google's clock disagrees.",
    fix: "Mend time synchronisation on the node.",
};

pub(super) const UNREACHABLE: Entry = Entry {
    title: "Google's token endpoint cannot be reached",
    seen: "cannot reach oauth2.googleapis.com, sts.googleapis.com, iamcredentials.googleapis.com",
    cause: "Name resolution, routing, a firewall or a proxy between the operator and Google, or a CA that is not trusted.",
    fix: "From the operator's network `curl https://oauth2.googleapis.com/` has to work. Allow the host in egress rules, or set HTTPS_PROXY \
and NO_PROXY on the operator; a CA of your own goes into the folder of `--ca-dir`.",
};

pub(super) const TOKEN_SLOW: Entry = Entry {
    title: "Google's token endpoint is slow",
    seen: "no token within",
    cause: "No answer within KEDA_HTTP_DEFAULT_TIMEOUT. The request goes on in the background, and the next poll finds its result.",
    fix: "If it stays so, look for a proxy or firewall that drops packets; raise KEDA_HTTP_DEFAULT_TIMEOUT (milliseconds).",
};

pub(super) const FAILING: Entry = Entry {
    title: "Google's token endpoint has trouble",
    seen: "answered with status 429, 500, 502, 503",
    cause: "A failure on Google's side, of the metadata server on the node, or of a proxy in between.",
    fix: "Nothing at first: it is tried again with growing pauses, and a token in hand is used until it expires.",
};

pub(super) const QUERY_UNAUTHORIZED: Entry = Entry {
    title: "Managed Prometheus does not accept the token",
    seen: "prometheus query api returned error. status: 401",
    cause: "The token was refused, also after it was renewed: `serverAddress` is not Google's, or the identity was disabled.",
    fix: "Set `serverAddress` to `https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus`.",
};

pub(super) const QUERY_FORBIDDEN: Entry = Entry {
    title: "The identity may not read the project's metrics",
    seen: "prometheus query api returned error. status: 403",
    cause: "The identity has no role on the metrics' project that allows to read time series, or the Cloud Monitoring API is not enabled \
there.",
    fix: "Run the line that the text ends with:\n\n```sh\ngcloud projects add-iam-policy-binding PROJECT --role roles/monitoring.viewer \\\n  \
--member \"serviceAccount:EMAIL\"\n```\n\nand `gcloud services enable monitoring.googleapis.com --project PROJECT`.",
};

pub(super) const QUERY_NOT_FOUND: Entry = Entry {
    title: "The address is no query endpoint of Managed Prometheus",
    seen: "prometheus query api returned error. status: 404",
    cause: "`serverAddress` lacks the part that names the project.",
    fix: "Set `serverAddress` to `https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus`.",
};

pub(super) const SECRET_FORBIDDEN: Entry = Entry {
    title: "The identity may not read the secret",
    seen: "Permission 'secretmanager.versions.access' denied",
    cause: "The identity has no role on the secret that allows to read it, or the Secret Manager API is not enabled.",
    fix: "Run the line that the text ends with:\n\n```sh\ngcloud secrets add-iam-policy-binding ID --project PROJECT --role \
roles/secretmanager.secretAccessor \\\n  --member \"serviceAccount:EMAIL\"\n```",
};

pub(super) const SECRET_MISSING: Entry = Entry {
    title: "The secret, or its version, does not exist",
    seen: "Secret [projects/…] not found or has no versions, is in DISABLED state",
    cause: "Secrets are looked for in the credential's own project; the text names secret and version. A version may be disabled or \
destroyed.",
    fix: "`gcloud secrets versions list ID --project PROJECT` shows what there is.",
};

pub(super) const SECRET_ANSWER: Entry = Entry {
    title: "Secret Manager's answer cannot be used",
    seen: "the secret is no text, its checksum does not fit",
    cause: "The payload is not UTF-8, was damaged on the way, or the answer is none of Secret Manager's.",
    fix: "Parameters are texts: store the secret as one. Otherwise look for a proxy in between.",
};
