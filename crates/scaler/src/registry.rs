//! All trigger types, by name.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::{Parameter, TriggerConfig};
use crate::parsed::{self, Parsed};
use crate::{Context, Error, Kind, Parameters, Trigger};

/// The triggers of one crate, declared by [`scalers!`](crate::scalers).
#[derive(Debug)]
pub struct Family {
    /// Its triggers, in the order of the list.
    pub triggers: &'static [Factory],
}

/// One trigger type behind a common face.
#[derive(Clone, Copy)]
pub struct Factory {
    trigger_type: &'static str,
    label: &'static str,
    parameters: fn() -> &'static [Parameter],
    parse: fn(&Parameters, &Context) -> Result<Parsed, Error>,
}

impl Factory {
    /// The factory of a trigger.
    pub const fn of<T: Trigger>() -> Self {
        Self {
            trigger_type: T::TYPE,
            label: T::LABEL,
            parameters: <T::Config as TriggerConfig>::parameters,
            parse: parsed::parse::<T>,
        }
    }

    /// The `type` that manifests name.
    pub fn trigger_type(&self) -> &'static str {
        self.trigger_type
    }

    /// Upstream's Go type name.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// The declared parameters.
    pub fn parameters(&self) -> &'static [Parameter] {
        (self.parameters)()
    }

    /// Parses and plans; pure.
    ///
    /// # Errors
    /// Everything that is wrong with the parameters, one fault a line, or what cannot be planned.
    pub fn parse(&self, parameters: &Parameters, context: &Context) -> Result<Parsed, Error> {
        let parse = AssertUnwindSafe(|| (self.parse)(parameters, context));
        catch_unwind(parse)
            .unwrap_or_else(|_| Err(panicked(self.trigger_type, "while its parameters were read")))
    }
}

impl std::fmt::Debug for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Factory").field(&self.trigger_type).finish()
    }
}

/// The text says nothing of the panic's own message, which may hold a credential; the panic hook wrote it to the log.
pub(crate) fn panicked(trigger_type: &str, when: &str) -> Error {
    Error::new(Kind::Panic, format!("trigger {trigger_type} panicked {when}: this is a defect of keda"))
}

/// Finds triggers by type.
#[derive(Debug, Clone)]
pub struct Registry {
    factories: BTreeMap<&'static str, Factory>,
}

impl Registry {
    /// All triggers of the families. Of two triggers with one type the later wins.
    pub fn new(families: &[&'static Family]) -> Self {
        let triggers = families.iter().flat_map(|family| family.triggers);
        Self { factories: triggers.map(|factory| (factory.trigger_type, *factory)).collect() }
    }

    /// The known types, sorted.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }

    /// The trigger of a type.
    ///
    /// # Errors
    /// There is none; the text lists what exists.
    pub fn get(&self, trigger_type: &str) -> Result<&Factory, Error> {
        self.factories.get(trigger_type).ok_or_else(|| {
            let known = self.types().collect::<Vec<_>>().join(", ");
            Error::config(format!("no scaler found for type: {trigger_type}, available are: {known}"))
        })
    }

    /// Parses and plans a trigger; pure.
    ///
    /// # Errors
    /// The type is unknown, the parameters are wrong (every fault, one a line), or cannot be planned.
    pub fn parse(
        &self,
        trigger_type: &str,
        parameters: &Parameters,
        context: &Context,
    ) -> Result<Parsed, Error> {
        self.get(trigger_type)?.parse(parameters, context)
    }

    /// Whether parsing needs the environment of the target's container: some entry names a variable.
    pub fn needs_env(&self, trigger_type: &str, metadata: &BTreeMap<String, String>) -> bool {
        let Some(factory) = self.factories.get(trigger_type) else { return false };
        let variable = |parameter: &crate::config::Parameter| {
            parameter.from.contains(&crate::config::Origin::Variable)
                && parameter.names.iter().any(|name| metadata.contains_key(*name))
        };
        metadata.keys().any(|key| key.ends_with(crate::config::FROM_ENV))
            || factory.parameters().iter().any(variable)
    }
}

/// Something that the author of a working manifest should know. The operator makes it a `KEDAScalerInfo` event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// Whether it probably is a mistake.
    pub warning: bool,
    /// What it is about.
    pub kind: NoticeKind,
    /// The text.
    pub text: String,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoticeKind {
    /// A parameter on its way out is used. Upstream always says so.
    Deprecated,
    /// A metadata entry that nothing reads. Upstream says so under `KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS=enabled`.
    Unread,
    /// A parameter that is read and has no effect.
    NoEffect,
    /// Something that works and probably is not what was meant, or is not safe.
    Advice,
}

impl Notice {
    /// Something that works and probably is not what was meant.
    pub fn advice(text: impl Into<String>) -> Self {
        Self { warning: true, kind: NoticeKind::Advice, text: text.into() }
    }

    /// A parameter without effect.
    pub fn no_effect(text: impl Into<String>) -> Self {
        Self { warning: true, kind: NoticeKind::NoEffect, text: text.into() }
    }
}

/// Declares the modules of a family's triggers and its [`Family`].
///
/// `scalers! { prometheus }` expects a folder `prometheus` with a unit type `Trigger` that implements
/// [`Trigger`](trait@crate::Trigger).
#[macro_export]
macro_rules! scalers {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The triggers of this crate.
        pub static FAMILY: $crate::Family =
            $crate::Family { triggers: &[$($crate::Factory::of::<$module::Trigger>()),*] };
    };
}
