//! From a request to a token, once: who is asked, as whom, with which federated token.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use keda_scaler::identity::{Owner, ServiceAccount, Token, azure};
use keda_scaler::{Code, Error, Kind};

use super::broker::{Key, Login, Subject};
use super::exchange::Exchange;
use super::subject::{self, Assertion};
use crate::broker::Issued;
use crate::problem::{Class, Problem};

/// Where Azure's webhook, and we, find the ids of a ServiceAccount's identity.
const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";

impl Login {
    /// The key of a request.
    pub(super) fn key(&self, request: &azure::Request) -> Result<Key, Error> {
        let identity = &request.identity;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let subject = match (identity.identity_owner, &identity.workload) {
            (Owner::Workload, Some(account)) => Subject::Workload(account.clone()),
            (Owner::Workload, None) => {
                let text = "identityOwner workload needs a target with a pod template, whose ServiceAccount is meant";
                return Err(Error::coded(Kind::Auth, Code::AzureIdentityIncomplete, text, ""));
            }
            (Owner::Keda, _) => Subject::Operator,
        };
        let own = subject == Subject::Operator;
        let default = |text: &Option<String>| given(text).filter(|_| own);
        Ok(Key {
            authority: self.authority(given(&identity.identity_authority_host), request.cloud)?,
            tenant: given(&identity.identity_tenant_id).or_else(|| default(&self.settings.tenant_id)),
            client: given(&identity.identity_id).or_else(|| default(&self.settings.client_id)),
            scope: request.scope.clone(),
            subject,
        })
    }

    /// The login host: the TriggerAuthentication's, else the process's, else the cloud's.
    fn authority(&self, named: Option<String>, cloud: azure::Cloud) -> Result<String, Error> {
        let unusable = |text: String| Error::coded(Kind::Auth, Code::AzureAuthority, text, "");
        let named = named.or_else(|| self.settings.authority_host.clone());
        let Some(host) = named.or_else(|| cloud.login_host().map(str::to_owned)) else {
            return Err(unusable(format!(
                "cloud {} has no login host of its own: set identityAuthorityHost and identityTenantId in the \
                 TriggerAuthentication, or AZURE_AUTHORITY_HOST",
                cloud.as_str()
            )));
        };
        let authority = host.trim_end_matches('/');
        let name = authority.strip_prefix("https://").unwrap_or_default();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '?' | '#')) {
            return Err(unusable(format!(
                "{host:?} is no login host: identityAuthorityHost and AZURE_AUTHORITY_HOST are written like \
                 https://login.microsoftonline.com/"
            )));
        }
        Ok(authority.to_owned())
    }

    /// One exchange.
    pub(super) async fn exchange(&self, key: &Key) -> Result<Issued<Token>, Problem> {
        let account = self.account(key);
        let (client, tenant) = self.ids(key, account).await?;
        let assertion = self.assertion(key, account).await?;
        let exchange = Exchange {
            authority: &key.authority,
            tenant: &tenant,
            client: &client,
            scope: &key.scope,
            timeout: self.settings.timeout,
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        exchange.send(&assertion, self.transport.as_ref(), self.clock.now()).await
    }

    /// The ServiceAccount that the federated token is about.
    pub(super) fn account<'a>(&'a self, key: &'a Key) -> Option<&'a ServiceAccount> {
        match &key.subject {
            Subject::Workload(account) => Some(account),
            Subject::Operator => self.settings.service_account.as_ref(),
        }
    }

    /// Client and tenant id: what is given, else what the ServiceAccount's annotations say.
    pub(super) async fn ids(
        &self,
        key: &Key,
        account: Option<&ServiceAccount>,
    ) -> Result<(String, String), Problem> {
        let incomplete = |what: &str, field: &str, annotation: &str, variable: &str| {
            let annotate = match account {
                Some(ServiceAccount { namespace, name }) => {
                    format!("annotate ServiceAccount {namespace}/{name} with {annotation}")
                }
                None => format!("set {variable}"),
            };
            Problem::new(
                Kind::Auth,
                Code::AzureIdentityIncomplete,
                Class::Local,
                format!("azure workload identity is not complete: no {what} is given"),
                format!(
                    "set {field} in the TriggerAuthentication, or {annotate} (Azure's webhook makes {variable} of it)"
                ),
            )
        };
        let annotations = match account {
            Some(account) if key.client.is_none() || key.tenant.is_none() => {
                self.annotations(account).await?
            }
            _ => Default::default(),
        };
        let annotated =
            |name: &str| annotations.get(name).map(|text| text.trim().to_owned()).filter(|id| !id.is_empty());
        let client = key.client.clone().or_else(|| annotated(CLIENT_ID));
        let client =
            client.ok_or_else(|| incomplete("client id", "identityId", CLIENT_ID, "AZURE_CLIENT_ID"))?;
        let tenant = key.tenant.clone().or_else(|| annotated(TENANT_ID));
        let tenant = tenant.or_else(|| self.settings.tenant_id.clone());
        let tenant = tenant
            .ok_or_else(|| incomplete("tenant id", "identityTenantId", TENANT_ID, "AZURE_TENANT_ID"))?;
        for (what, id, code) in
            [("client", &client, Code::AzureWrongClient), ("tenant", &tenant, Code::AzureWrongTenant)]
        {
            if !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
                let text = format!("{id:?} is no {what} id: letters, digits, '-', '.' and '_' are allowed");
                return Err(Problem::new(Kind::Auth, code, Class::Wrong, text, ""));
            }
        }
        Ok((client, tenant))
    }

    async fn annotations(&self, account: &ServiceAccount) -> Result<BTreeMap<String, String>, Problem> {
        let ServiceAccount { namespace, name } = account;
        let unreadable = |why: String, temporary: bool| {
            let (kind, class) = match temporary {
                true => (Kind::Unreachable, Class::Temporary { wait: None }),
                false => (Kind::Auth, Class::Local),
            };
            let text = format!("cannot read the annotations of ServiceAccount {namespace}/{name}: {why}");
            let advice = "or set identityId and identityTenantId in the TriggerAuthentication";
            Problem::new(kind, Code::AzureServiceAccountToken, class, text, advice)
        };
        let found = self.reader.service_account(namespace, name).await;
        let found = found.map_err(|error| unreadable(error.message, error.temporary))?;
        found.ok_or_else(|| unreadable("it does not exist".to_owned(), false))
    }

    /// The federated token: the mounted one, else one that the API server makes.
    pub(super) async fn assertion(
        &self,
        key: &Key,
        account: Option<&ServiceAccount>,
    ) -> Result<Assertion, Problem> {
        if let (Subject::Operator, Some(file)) = (&key.subject, &self.settings.token_file) {
            return subject::from_file(file, self.clock.now());
        }
        let Some(account) = account else {
            return Err(Problem::new(
                Kind::Auth,
                Code::AzureIdentityIncomplete,
                Class::Local,
                "azure workload identity is not complete: AZURE_FEDERATED_TOKEN_FILE is not set, and the operator does not run \
                 as a ServiceAccount",
                "run it in a pod, or set AZURE_FEDERATED_TOKEN_FILE",
            ));
        };
        let audience = azure::exchange_audience(&key.authority);
        subject::from_api_server(account, audience, self.reader.as_ref()).await
    }
}
