//! Who we are to a Vault. One session for each address, namespace and login, however many objects use it: it is renewed when
//! two thirds of its life are over, and made anew where it cannot be renewed or is refused. A session in hand is used until it
//! expires, whatever happens to its renewal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::http::Method;
use keda_scaler::{Error, Secret};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::account::Shown;
use super::call::Call;
use super::{Access, Settings};

/// A token that is not renewed is looked at again after this time.
const LOOK: Duration = Duration::from_secs(300);

/// What Vault made for us is used at most this long; then another one is asked for.
const KEPT: Duration = Duration::from_secs(300);

/// Sessions that nobody asked for this long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(2 * 3600);

/// A session made this short a time ago is new: what is refused to it would be refused to the next one, too.
const NEW: Duration = Duration::from_secs(2);

/// What tells sessions apart.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Without a final slash.
    pub(super) address: String,
    pub(super) namespace: Option<String>,
    pub(super) login: Login,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Login {
    Token(Secret),
    Kubernetes { mount: String, role: String, shown: Shown },
}

impl Login {
    /// What is shown, in words, where it is the operator's own and not the author's of the object.
    pub(super) fn of_the_operator(&self, settings: &Settings) -> Option<&'static str> {
        match self {
            Self::Token(token) => {
                (settings.token.as_ref() == Some(token)).then_some("VAULT_TOKEN for hashiCorpVault")
            }
            Self::Kubernetes { shown: Shown::File(_), .. } => {
                Some("the operator's ServiceAccount token for hashiCorpVault")
            }
            Self::Kubernetes { .. } => None,
        }
    }
}

impl Key {
    /// Whose policies count, in words.
    pub(super) fn who(&self) -> &str {
        match &self.login {
            Login::Token(_) => "the token",
            Login::Kubernetes { role, .. } => role,
        }
    }
}

/// Every session of the process.
pub(crate) struct Sessions {
    settings: Settings,
    places: SyncMutex<HashMap<Key, Arc<Place>>>,
}

/// The session of one key. Locked while it is made, so that everybody waits for one login.
type Place = Mutex<Option<Arc<Session>>>;

/// A token that Vault takes.
pub(super) struct Session {
    token: Secret,
    made: Instant,
    /// When it ends; `None` for a token that does not.
    expires: Option<Instant>,
    /// When to look after it.
    look_at: Instant,
    renewable: bool,
    used: SyncMutex<Instant>,
    leases: SyncMutex<HashMap<Lease, (Instant, Value)>>,
}

/// What Vault makes anew for each request: a certificate, or credentials with a lease.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) path: String,
    pub(super) certificate: BTreeMap<&'static str, String>,
}

impl Sessions {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, places: SyncMutex::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The session, from memory or made now.
    pub(super) async fn session(&self, key: &Key, access: &Access) -> Result<Arc<Session>, Error> {
        let place = self.place(key);
        let mut place = place.lock().await;
        let now = Instant::now();
        let held = place.clone().filter(|held| held.expires.is_none_or(|expires| now < expires));
        let Some(held) = held else {
            let made = Arc::new(self.log_in(key, access).await?);
            *place = Some(made.clone());
            return Ok(made);
        };
        *lock(&held.used) = now;
        if now < held.look_at {
            return Ok(held);
        }
        match self.renew(key, &held, access).await {
            Ok(renewed) => {
                let renewed = Arc::new(renewed);
                *place = Some(renewed.clone());
                Ok(renewed)
            }
            // Where it is over, so is a token that never ends.
            Err(error) if held.expires.is_none() && !error.temporary() => {
                *place = None;
                Err(error)
            }
            Err(error) => {
                tracing::warn!(
                    logger = "hashicorp_vault",
                    address = key.address,
                    error = %error,
                    "a session could not be renewed, it is used until it expires"
                );
                let kept = Arc::new(held.looked_at_again(now + NEW));
                *place = Some(kept.clone());
                Ok(kept)
            }
        }
    }

    /// Forgets a session that was refused, unless there is another one already.
    pub(super) fn forget(&self, key: &Key, refused: &Arc<Session>) {
        let place = self.place(key);
        // Locked by whoever makes a new one.
        if let Ok(mut place) = place.try_lock()
            && place.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused))
        {
            *place = None;
        }
    }

    fn place(&self, key: &Key) -> Arc<Place> {
        let mut places = lock(&self.places);
        if let Some(place) = places.get(key) {
            return place.clone();
        }
        places.retain(|_, place| match place.try_lock() {
            Ok(held) => held.as_ref().is_some_and(|held| lock(&held.used).elapsed() < FORGOTTEN),
            Err(_) => true,
        });
        let place = Arc::new(Place::default());
        places.insert(key.clone(), place.clone());
        place
    }

    async fn log_in(&self, key: &Key, access: &Access) -> Result<Session, Error> {
        let (mount, role, shown) = match &key.login {
            Login::Token(token) => return self.look_up(key, token, access).await,
            Login::Kubernetes { mount, role, shown } => (mount, role, shown),
        };
        let jwt = shown.token(&self.settings, access.kube.as_ref()).await?;
        let body = json!({ "jwt": jwt.expose(), "role": role });
        let path = format!("auth/{mount}/login");
        let call = Call::new(key, &self.settings, &path).hiding(&jwt).body(Method::PUT, &body);
        let answer = call.send(access.http.as_ref()).await.map_err(|refusal| {
            let what = format!("cannot log in with role {role:?} of auth method {mount:?}");
            let advice = "the role has to exist there, and to name the ServiceAccount and namespace whose token is shown";
            refusal.of_login(&what, advice)
        })?;
        tracing::debug!(logger = "hashicorp_vault", address = key.address, role, "logged in");
        Session::of_login(&answer).ok_or_else(|| without_token(key))
    }

    /// What a given token is.
    async fn look_up(&self, key: &Key, token: &Secret, access: &Access) -> Result<Session, Error> {
        let call = Call::new(key, &self.settings, "auth/token/lookup-self").token(token);
        let answer = call.send(access.http.as_ref()).await.map_err(super::call::Refusal::of_token)?;
        let data = &answer["data"];
        let held = Session::new(token.clone(), data["ttl"].as_u64(), data["renewable"] == true);
        // A short-lived one is renewed at its first use: how old it is already is not known.
        match held.renewable {
            true => Ok(self.renewed(key, &held, access).await.unwrap_or(held)),
            false => Ok(held),
        }
    }

    async fn renew(&self, key: &Key, held: &Session, access: &Access) -> Result<Session, Error> {
        match &key.login {
            Login::Token(token) if !held.renewable => self.look_up(key, token, access).await,
            _ if held.renewable => match self.renewed(key, held, access).await {
                Ok(renewed) => Ok(renewed),
                Err(_) => self.log_in(key, access).await,
            },
            _ => self.log_in(key, access).await,
        }
    }

    async fn renewed(&self, key: &Key, held: &Session, access: &Access) -> Result<Session, Error> {
        let call = Call::new(key, &self.settings, "auth/token/renew-self")
            .token(&held.token)
            .body(Method::PUT, &json!({ "increment": 0 }));
        let answer = call.send(access.http.as_ref()).await;
        let answer = answer.map_err(|refusal| refusal.of_login("cannot renew the token", ""))?;
        Session::of_login(&answer).ok_or_else(|| without_token(key))
    }
}

fn without_token(key: &Key) -> Error {
    Error::coded(
        keda_scaler::Kind::Answer,
        keda_scaler::Code::VaultFailing,
        format!("the answer of {} to a login holds no token", key.address),
        "check that address is the one of a Vault",
    )
}

impl Session {
    fn new(token: Secret, seconds: Option<u64>, renewable: bool) -> Self {
        let now = Instant::now();
        let life = seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let look_in = match life {
            Some(life) if renewable => life.mul_f64(2.0 / 3.0),
            Some(life) => LOOK.min(life.mul_f64(2.0 / 3.0)),
            None => LOOK,
        };
        Self {
            token,
            made: now,
            expires: life.and_then(|life| now.checked_add(life)),
            look_at: now + look_in,
            renewable,
            used: SyncMutex::new(now),
            leases: SyncMutex::default(),
        }
    }

    /// The session of an answer to a login or a renewal.
    fn of_login(answer: &Value) -> Option<Self> {
        let auth = answer.get("auth")?;
        let token = auth.get("client_token")?.as_str().filter(|token| !token.is_empty())?;
        Some(Self::new(Secret::new(token), auth["lease_duration"].as_u64(), auth["renewable"] == true))
    }

    /// The same, with another time to look after it.
    fn looked_at_again(&self, at: Instant) -> Self {
        Self {
            token: self.token.clone(),
            made: self.made,
            expires: self.expires,
            look_at: at,
            renewable: self.renewable,
            used: SyncMutex::new(Instant::now()),
            leases: SyncMutex::new(lock(&self.leases).clone()),
        }
    }

    pub(super) fn token(&self) -> &Secret {
        &self.token
    }

    /// Whether it was made a moment ago.
    pub(super) fn is_new(&self) -> bool {
        self.made.elapsed() < NEW
    }

    /// What was made for an earlier request and is still to be used.
    pub(super) fn lease(&self, lease: &Lease) -> Option<Value> {
        let leases = lock(&self.leases);
        let (until, answer) = leases.get(lease)?;
        (Instant::now() < *until).then(|| answer.clone())
    }

    /// Keeps what Vault makes anew for each request, for two thirds of its life: what has a lease, and certificates.
    pub(super) fn keep(&self, lease: Lease, today: Timestamp, answer: &Value) {
        let leased = answer["lease_id"].as_str().is_some_and(|id| !id.is_empty());
        let expiration = answer["data"]["expiration"].as_i64().filter(|_| !lease.certificate.is_empty());
        let seconds = match expiration {
            Some(second) => u64::try_from(second - today.as_second()).ok(),
            None => answer["lease_duration"].as_u64().filter(|_| leased),
        };
        let Some(life) = seconds.map(Duration::from_secs) else { return };
        let now = Instant::now();
        let mut leases = lock(&self.leases);
        leases.retain(|_, (until, _)| now < *until);
        leases.insert(lease, (now + KEPT.min(life.mul_f64(2.0 / 3.0)), answer.clone()));
    }
}

fn lock<T>(mutex: &SyncMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
