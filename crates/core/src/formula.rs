//! One metric out of all triggers: `spec.advanced.scalingModifiers`.
//!
//! The formula is Go's expr ([`keda_expr`]), over the names of the triggers, and its result is a float. Upstream checks and
//! casts it in `apis/keda/v1alpha1/scaledobject_webhook.go` and runs it in `pkg/scaling/modifiers/formula.go`. Where it
//! differs: a failing formula is an error with its place, never an empty answer; a result that is no number, or negative, never reaches
//! the HPA.

use std::sync::Arc;

use keda_api::{ModifierMetricType, Quantity, ScaledObjectSpec, ScalingModifiers};
use keda_expr::{Program, Type, Value};

use crate::fallback::{Aim, Answer, Cause, FallenBack, Needs, Plan, Workload, value};
use crate::metric::{self, MetricSpec, TargetType};

/// The name of the formula's metric in the HPA.
pub const COMPOSITE: &str = "composite-metric";
/// Triggers whose value the HPA reads by itself: a formula does not see it.
const UNSEEN: [&str; 2] = ["cpu", "memory"];
/// What every trigger's value is in the trial run of a new formula; upstream's number.
const TRIAL: f64 = -1.0;

/// Why a formula cannot be used. The first words are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is a target, but no formula.
    #[error("error ScalingModifiers.Formula is mandatory")]
    NoFormula,
    /// There is a formula, but no target.
    #[error("error validating formula in ScalingModifiers\nformula is given but target is empty")]
    NoTarget,
    /// The formula is wrong.
    #[error("error validating formula in ScalingModifiers\n{cause}, in {formula:?}{hint}")]
    Formula {
        /// What is wrong, and where.
        cause: keda_expr::Error,
        /// The formula.
        formula: String,
        /// What may help.
        hint: String,
    },
    /// The formula is right, and its result is no number.
    #[error(
        "error validating formula in ScalingModifiers\nthe result of {formula:?} is {found}, not a number"
    )]
    NotANumber {
        /// The formula.
        formula: String,
        /// The type of its result.
        found: String,
    },
    /// The target is no number above 0.
    #[error(
        "error validating target in ScalingModifiers\nerror converting target for scalingModifiers (string->float) to valid \
         target: {0}"
    )]
    Target(String),
    /// The activation target is no number.
    #[error("error validating activationTarget in ScalingModifiers\n{0:?} is not a number")]
    ActivationTarget(String),
    /// A metric type that external metrics do not have.
    #[error(
        "error validating target in ScalingModifiers\nerror trigger type is {0}, but it needs to be AverageValue or Value for \
         external metrics"
    )]
    MetricType(String),
}

impl Error {
    /// The field to change.
    pub fn path(&self) -> String {
        let field = match self {
            Self::NoFormula | Self::NoTarget => "",
            Self::Formula { .. } | Self::NotANumber { .. } => ".formula",
            Self::Target(_) => ".target",
            Self::ActivationTarget(_) => ".activationTarget",
            Self::MetricType(_) => ".metricType",
        };
        format!("spec.advanced.scalingModifiers{field}")
    }
}

/// `spec.advanced.scalingModifiers`, checked and compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Modifiers {
    program: Arc<Program>,
    formula: Arc<str>,
    /// In the order of the program's variables.
    names: Arc<[String]>,
    aim: Aim,
    activation: f64,
    /// Nil is a result: upstream's casts let it through where the formula deals with nil at all.
    nil: bool,
}

/// What a formula came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// The value for people.
    pub value: f64,
    /// The value for the HPA: three decimals, not negative.
    pub quantity: Quantity,
    /// Whether it keeps the object awake.
    pub active: bool,
    /// Replicas that stand in for it.
    pub fallen: Option<FallenBack>,
}

/// Whether a spec asks for modifiers: any of their fields is given.
pub fn is_used(spec: &ScaledObjectSpec) -> bool {
    given(spec).is_some()
}

fn given(spec: &ScaledObjectSpec) -> Option<&ScalingModifiers> {
    let modifiers = spec.advanced.as_ref()?.scaling_modifiers.as_ref()?;
    let texts = [&modifiers.formula, &modifiers.target, &modifiers.activation_target];
    let any = texts.into_iter().any(|text| filled(text).is_some()) || modifiers.metric_type.is_some();
    any.then_some(modifiers)
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The modifiers of a spec.
///
/// # Errors
/// [`Error`]: the object cannot be scaled as asked.
pub fn modifiers(spec: &ScaledObjectSpec) -> Result<Option<Modifiers>, Error> {
    let Some(modifiers) = given(spec) else { return Ok(None) };
    let formula = filled(&modifiers.formula).ok_or(Error::NoFormula)?;
    let target = filled(&modifiers.target).ok_or(Error::NoTarget)?;
    let names: Vec<String> = spec
        .triggers
        .iter()
        .filter(|trigger| !UNSEEN.contains(&trigger.r#type.as_str()))
        .filter_map(|trigger| trigger.name.clone().filter(|name| !name.is_empty()))
        .collect();
    let program = compile(formula, &names)?;

    let target = positive(target).map_err(Error::Target)?;
    let target_type = match &modifiers.metric_type {
        None | Some(ModifierMetricType::AverageValue) => TargetType::AverageValue,
        Some(ModifierMetricType::Value) => TargetType::Value,
        Some(ModifierMetricType::Unrecognised(word)) if word.is_empty() => TargetType::AverageValue,
        Some(ModifierMetricType::Unrecognised(word)) => return Err(Error::MetricType(word.clone())),
    };
    let activation = match filled(&modifiers.activation_target) {
        None => 0.0,
        Some(text) => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| Error::ActivationTarget(text.to_owned()))?
        }
    };
    Ok(Some(Modifiers {
        program: Arc::new(program),
        formula: Arc::from(formula),
        names: names.into(),
        aim: Aim { target, target_type },
        activation,
        nil: deals_with_nil(formula),
    }))
}

/// A target with three decimals.
fn positive(target: &str) -> Result<Quantity, String> {
    let number = target.parse::<f64>().ok().filter(|number| !number.is_infinite());
    let number = number.ok_or_else(|| format!("strconv.ParseFloat: parsing {target:?}: invalid syntax"))?;
    let quantity = metric::clamped(number);
    match (number > 0.0, quantity.is_zero()) {
        (true, false) => Ok(quantity),
        (true, true) => Err(format!("{target:?} is below what three decimals can show")),
        // Upstream prints a broken format here.
        (false, _) => Err(format!("{target:?} is not above 0")),
    }
}

fn deals_with_nil(formula: &str) -> bool {
    formula.contains("??")
}

/// Compiles a formula and tries it, as upstream does, with -1 for everything.
fn compile(formula: &str, names: &[String]) -> Result<Program, Error> {
    let wrong = |cause: keda_expr::Error| {
        let hint = match (cause.message.starts_with("unknown name"), names.is_empty()) {
            (false, _) => String::new(),
            (true, true) => "; no trigger has a name that the formula could use".to_owned(),
            (true, false) => format!("; the formula knows the triggers named {}", names.join(", ")),
        };
        Error::Formula { cause, formula: formula.to_owned(), hint }
    };
    let variables: Vec<&str> = names.iter().map(String::as_str).collect();
    let program = Program::compile(formula, &variables).map_err(wrong)?;
    let not_a_number = |found: String| Error::NotANumber { formula: formula.to_owned(), found };
    let castable = match program.result() {
        Type::Unknown | Type::Any | Type::Int | Type::Float | Type::Text => true,
        Type::Nil | Type::Bool | Type::Array(_) | Type::Map { .. } => false,
    };
    if !castable {
        let found =
            if *program.result() == Type::Nil { "nil".to_owned() } else { program.result().to_string() };
        return Err(not_a_number(found));
    }
    let result = program.run(&vec![Value::Float(TRIAL); names.len()]).map_err(wrong)?;
    let nil = result == Value::Nil && deals_with_nil(formula);
    if !nil && cast(&result).is_none() {
        return Err(not_a_number(result.to_string()));
    }
    Ok(program)
}

/// Go's `float(...)` around the formula.
fn cast(result: &Value) -> Option<f64> {
    match result {
        Value::Text(text) => text.parse().ok(),
        other => other.number(),
    }
}

/// The metrics of the HPA: those of the triggers, or with a formula the composite one beside what the HPA reads by itself.
/// (Upstream leaves resources of single containers out then.)
pub fn hpa_specs(specs: &[MetricSpec], modifiers: Option<&Modifiers>) -> Vec<MetricSpec> {
    let Some(modifiers) = modifiers else { return specs.to_vec() };
    let resources = specs.iter().filter(|spec| spec.external_name().is_none()).cloned();
    resources.chain([modifiers.spec()]).collect()
}

impl Modifiers {
    /// What [`Modifiers::compose`] may need to know of the workload whatever the triggers answer: a formula that comes to nil
    /// falls back.
    pub fn needs(&self, plan: Option<&Plan>) -> Needs {
        let ready = self.nil && plan.is_some() && self.aim.target_type == TargetType::Value;
        Needs { replicas: false, ready }
    }

    /// The metric of the HPA that replaces those of the triggers.
    pub fn spec(&self) -> MetricSpec {
        MetricSpec::External {
            name: COMPOSITE.to_owned(),
            target_type: self.aim.target_type,
            target: self.aim.target,
        }
    }

    /// What the HPA holds the result against.
    pub fn aim(&self) -> &Aim {
        &self.aim
    }

    /// The formula as it was written.
    pub fn formula(&self) -> &str {
        &self.formula
    }

    /// The one metric out of what the triggers' metrics count as, each with the name of its trigger.
    ///
    /// While one falls back the formula is not looked at: its fallback stands for the whole. Of several metrics of one
    /// trigger the last one counts.
    ///
    /// # Errors
    /// What went wrong, for condition and event: a trigger that could not be read, or the formula itself.
    pub fn compose<'a>(
        &self,
        answers: impl IntoIterator<Item = (Option<&'a str>, &'a Answer)>,
        plan: Option<&Plan>,
        workload: &Workload,
    ) -> Result<Composite, String> {
        let mut variables = vec![Value::Nil; self.names.len()];
        let mut fallen = None;
        let mut failed = None;
        for (name, answer) in answers {
            let number = match answer {
                Answer::Read { value, .. } => Value::Float(*value),
                Answer::Nil => Value::Nil,
                Answer::FallsBack { value, fallen: by } => {
                    fallen.get_or_insert_with(|| (*value, by.clone()));
                    continue;
                }
                Answer::Failed(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            let at = name.and_then(|name| self.names.iter().position(|known| known == name));
            if let Some(variable) = at.and_then(|at| variables.get_mut(at)) {
                *variable = number;
            }
        }
        if let Some((quantity, fallen)) = fallen {
            return Ok(standing_in(quantity, fallen));
        }
        if let Some(error) = failed {
            return Err(error.clone());
        }
        self.run(&variables, plan, workload)
    }

    fn run(
        &self,
        variables: &[Value],
        plan: Option<&Plan>,
        workload: &Workload,
    ) -> Result<Composite, String> {
        let failed = |cause: &dyn std::fmt::Display| {
            format!("error trying to run custom formula {:?}: {cause}", self.formula)
        };
        let result = self.program.run(variables).map_err(|error| failed(&error))?;
        if result == Value::Nil && self.nil {
            let plan =
                plan.ok_or("scalingModifiers formula evaluated to nil but no fallback is configured")?;
            let quantity = value(plan.replicas, &self.aim, workload)?;
            let fallen = FallenBack { replicas: plan.replicas, cause: Cause::NilFormula };
            return Ok(standing_in(quantity, fallen));
        }
        let number = cast(&result).ok_or_else(|| failed(&format!("the result is {result}, not a number")))?;
        if !number.is_finite() {
            return Err(failed(&format!("the result is {result}, not a number to scale on")));
        }
        Ok(Composite {
            value: number,
            quantity: metric::clamped(number),
            active: number > self.activation,
            fallen: None,
        })
    }
}

/// Replicas in the place of the formula: they keep the object awake where they are any.
fn standing_in(quantity: Quantity, fallen: FallenBack) -> Composite {
    Composite { value: quantity.as_f64(), quantity, active: fallen.replicas > 0, fallen: Some(fallen) }
}

#[cfg(test)]
mod tests;
