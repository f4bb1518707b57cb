//! Kubernetes quantities: exact decimal numbers with a suffix.
//!
//! The grammar, the rounding and the canonical text are apimachinery's (`pkg/api/resource/quantity.go`, v0.37): what the
//! API server accepts is accepted here, and prints the same. Two limits are ours: a number has at most 38 significant
//! digits, and an exponent is a sane number; beyond them parsing fails instead of costing memory.

mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, Serializer};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;

pub use parse::ParseQuantityError;

/// A number as Kubernetes writes it: `1500m`, `2`, `1Ki`, `1e3`.
///
/// Exact to a billionth (`n`); anything finer was rounded away from zero when it was parsed. Equality and order are
/// those of the number: `1000m == 1`. It remembers the family of suffixes it was written with, and prints in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    /// No trailing zero, so that equal numbers have equal parts. Zero is `0 * 10^0`.
    mantissa: i128,
    /// Power of ten, at least [`NANO`] (less only for zero, where it is 0).
    exponent: i32,
    form: Form,
}

/// Family of suffixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// `n u m (none) k M G T P E`, powers of ten.
    #[default]
    Decimal,
    /// `e3`.
    Exponent,
    /// `Ki Mi Gi Ti Pi Ei`, powers of 1024.
    Binary,
}

/// The finest power of ten.
const NANO: i32 = -9;

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0, form: Form::Decimal };

    /// `milli` thousandths.
    pub fn from_milli(milli: impl Into<i128>) -> Self {
        Self::normal(milli.into(), -3, Form::Decimal)
    }

    /// The number in thousandths, rounded away from zero as Kubernetes' `MilliValue` does; saturates.
    pub fn milli(&self) -> i128 {
        self.scaled(-3)
    }

    /// The number in whole units, rounded away from zero as Kubernetes' `Value` does; saturates.
    pub fn whole(&self) -> i128 {
        self.scaled(0)
    }

    /// The nearest floating-point number; infinite if there is none.
    pub fn as_f64(&self) -> f64 {
        // The standard library rounds decimal text correctly; scaling a float by a power of ten would round twice.
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// Whether the number is 0.
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// Whether the number is below 0.
    pub fn is_negative(&self) -> bool {
        self.mantissa < 0
    }

    /// The sum, in the suffixes of `self` (of `other` if `self` is 0). `None` if it has too many digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let form = if self.is_zero() { other.form } else { self.form };
        let exponent = self.exponent.min(other.exponent);
        let sum = self.at_exponent(exponent)?.checked_add(other.at_exponent(exponent)?)?;
        Some(Self::normal(sum, exponent, form))
    }

    /// The difference, in the suffixes of `self` (of `other` if `self` is 0). `None` if it has too many digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self { mantissa: other.mantissa.checked_neg()?, ..other })
    }

    /// The product, in the suffixes of `self`. `None` if it has too many digits.
    pub fn checked_mul(self, factor: i64) -> Option<Self> {
        Some(Self::normal(self.mantissa.checked_mul(factor.into())?, self.exponent, self.form))
    }

    /// The text under which Kubernetes keeps a quantity that a client wrote as `text`, and returns it: the very same text
    /// if it looks canonical enough (`2.500`, `+1`), else the canonical one (`5.000` is kept as `5`, `0.002` as `2m`).
    ///
    /// # Errors
    /// `text` is no quantity.
    pub fn kept_text(text: &str) -> Result<String, ParseQuantityError> {
        parse::kept_text(text)
    }

    /// `mantissa * 10^exponent`, in normal form. `exponent` must not be below [`NANO`].
    fn normal(mut mantissa: i128, mut exponent: i32, form: Form) -> Self {
        if mantissa == 0 {
            return Self { mantissa, exponent: 0, form };
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent, form }
    }

    /// The mantissa if the exponent were `exponent`, which is not above its own.
    fn at_exponent(&self, exponent: i32) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        self.mantissa.checked_mul(10i128.checked_pow(self.exponent.abs_diff(exponent))?)
    }

    /// The number in units of `10^scale`, rounded away from zero.
    fn scaled(&self, scale: i32) -> i128 {
        if self.exponent >= scale {
            let saturated = if self.is_negative() { i128::MIN } else { i128::MAX };
            return self.at_exponent(scale).unwrap_or(saturated);
        }
        // Exponents are at least NANO, so the divisor is at most a billion.
        let divisor = 10i128.pow(self.exponent.abs_diff(scale));
        let quotient = self.mantissa / divisor;
        if self.mantissa % divisor == 0 { quotient } else { quotient + self.mantissa.signum() }
    }

    /// The whole number behind a binary form, if it can be printed in one.
    fn as_binary(&self) -> Option<i128> {
        if self.form != Form::Binary || self.exponent < 0 {
            return None;
        }
        self.at_exponent(0).filter(|value| value.unsigned_abs() >= 1024)
    }
}

/// The canonical text: no fraction, the largest suffix of its family that allows for that.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mut value) = self.as_binary() {
            const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            let mut suffix = 0;
            while value % 1024 == 0 && suffix + 1 < SUFFIXES.len() {
                value /= 1024;
                suffix += 1;
            }
            return write!(f, "{value}{}", SUFFIXES[suffix]);
        }
        // Suffixes are for powers of a thousand: one or two zeros go back to the mantissa, as text, so that it may have
        // more digits than the number type.
        let exponent = self.exponent.div_euclid(3) * 3;
        let zeros = &"00"[..self.exponent.abs_diff(exponent) as usize];
        write!(f, "{}{zeros}", self.mantissa)?;
        let suffix = match exponent {
            0 => return Ok(()),
            _ if self.form == Form::Exponent => return write!(f, "e{exponent}"),
            -9 => "n",
            -6 => "u",
            -3 => "m",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            18 => "E",
            _ => return write!(f, "e{exponent}"),
        };
        f.write_str(suffix)
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::parse(text)
    }
}

impl From<i64> for Quantity {
    fn from(value: i64) -> Self {
        Self::normal(value.into(), 0, Form::Decimal)
    }
}

impl From<i32> for Quantity {
    fn from(value: i32) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<Quantity> for WireQuantity {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl TryFrom<&WireQuantity> for Quantity {
    type Error = ParseQuantityError;

    fn try_from(wire: &WireQuantity) -> Result<Self, Self::Error> {
        wire.0.trim().parse()
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        (self.mantissa, self.exponent) == (other.mantissa, other.exponent)
    }
}

impl Eq for Quantity {}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.mantissa, self.exponent).hash(state);
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.mantissa.signum();
        match sign.cmp(&other.mantissa.signum()) {
            Ordering::Equal if sign < 0 => magnitude_cmp(other, self),
            Ordering::Equal => magnitude_cmp(self, other),
            unequal => unequal,
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Order of the absolute values: by the place of the first digit, then by the digits.
fn magnitude_cmp(a: &Quantity, b: &Quantity) -> Ordering {
    let place = |q: &Quantity| {
        q.mantissa.unsigned_abs().checked_ilog10().map(|digits| i64::from(digits) + i64::from(q.exponent))
    };
    // Zero has no first digit, and None sorts first.
    place(a).cmp(&place(b)).then_with(|| {
        let exponent = a.exponent.min(b.exponent);
        let digits = |q: &Quantity| {
            let shift = 10u128.checked_pow(q.exponent.abs_diff(exponent))?;
            q.mantissa.unsigned_abs().checked_mul(shift)
        };
        match (digits(a), digits(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // At most one is shifted; what then does not fit is above the one that does.
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
        }
    })
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads text, and numbers as apimachinery does.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantity, E> {
                text.trim().parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Quantity, E> {
                Ok(value.into())
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Quantity, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Quantity, E> {
                self.visit_str(&value.to_string())
            }
        }

        deserializer.deserialize_any(Words).map_err(D::Error::custom)
    }
}
