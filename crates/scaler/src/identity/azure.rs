//! What a token of Microsoft Entra is asked for with, and Azure's clouds: what `cloud` in a trigger's metadata decides
//! (auth.md §3.4).

use super::PodIdentity;

/// A token of Microsoft Entra for a workload identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// As whom.
    pub identity: PodIdentity,
    /// For what: an OAuth scope such as `https://prometheus.monitor.azure.com/.default`.
    pub scope: String,
    /// In which cloud, where neither the identity nor the process names a login host.
    pub cloud: Cloud,
}

/// One of Azure's clouds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cloud {
    /// `AzurePublicCloud`, also where nothing is said.
    #[default]
    Public,
    /// `AzureUSGovernmentCloud`.
    UsGovernment,
    /// `AzureChinaCloud`, operated by 21Vianet.
    China,
    /// `AzureGermanCloud`, which was closed.
    Germany,
    /// `AZURESTACKCLOUD`.
    Stack,
    /// `Private`: the manifest names every endpoint itself.
    Private,
}

impl Cloud {
    /// Every cloud with its name.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Public, "AzurePublicCloud"),
        (Self::UsGovernment, "AzureUSGovernmentCloud"),
        (Self::China, "AzureChinaCloud"),
        (Self::Germany, "AzureGermanCloud"),
        (Self::Stack, "AZURESTACKCLOUD"),
        (Self::Private, "Private"),
    ];

    /// The cloud of a name, ignoring case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(cloud, _)| *cloud)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(cloud, _)| *cloud == self).map_or("", |(_, name)| *name)
    }

    /// Its login host; `None` where only the user knows it.
    pub fn login_host(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("https://login.microsoftonline.com"),
            Self::UsGovernment => Some("https://login.microsoftonline.us"),
            Self::China => Some("https://login.chinacloudapi.cn"),
            Self::Germany => Some("https://login.microsoftonline.de"),
            Self::Stack | Self::Private => None,
        }
    }
}

/// The audience that a login host wants in the tokens of a federated workload.
pub fn exchange_audience(login_host: &str) -> &'static str {
    let host = login_host.trim_start_matches("https://").split(['/', ':']).next().unwrap_or_default();
    match host.to_ascii_lowercase().as_str() {
        "login.microsoftonline.us" => "api://AzureADTokenExchangeUSGov",
        "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn" => "api://AzureADTokenExchangeChina",
        _ => "api://AzureADTokenExchange",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_ignoring_case() {
        for (cloud, name) in Cloud::ALL {
            assert_eq!(Cloud::parse(&name.to_uppercase()), Some(cloud));
            assert_eq!(cloud.as_str(), name);
        }
        assert_eq!(Cloud::parse("AzureMoonCloud"), None);
    }

    #[test]
    fn sovereign_logins_have_audiences_of_their_own() {
        for (host, audience) in [
            ("https://login.microsoftonline.com/", "api://AzureADTokenExchange"),
            ("https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
            ("https://login.partner.microsoftonline.cn/", "api://AzureADTokenExchangeChina"),
            ("https://login.airgap.example", "api://AzureADTokenExchange"),
        ] {
            assert_eq!(exchange_audience(host), audience);
        }
    }
}
