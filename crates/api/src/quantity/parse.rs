//! Text to quantity.
//!
//! apimachinery's scanner takes more than its grammar: a sign, a point or most suffixes alone are 0. Since that is what the
//! API server accepts, so do we. It has a short way for small numbers ([`Parts::is_small`]), and which way a text goes
//! shows in two places: there must be a digit only on the long one, and the text is kept only on the short one.

use thiserror::Error;

use super::{Form, NANO, Quantity};

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseQuantityError {
    /// The text is empty or has characters in the wrong place.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// There is no number where one is needed.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// What follows the number is no suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// The number has more digits than are supported.
    #[error("quantity has more than 38 significant digits")]
    Digits,
}

/// What a binary quantity is cut to.
const BINARY_CAP: i128 = i64::MAX as i128;

/// A quantity's text in its parts.
struct Parts<'a> {
    negative: bool,
    /// Digits before the point, without leading zeros; `0` if there are none.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    scale: Scale,
    /// Whether the number has a digit at all.
    has_digits: bool,
}

/// What a suffix multiplies by.
#[derive(Clone, Copy)]
enum Scale {
    /// A power of ten, by a letter.
    Ten(i32),
    /// A power of ten, by an exponent.
    Exponent(i32),
    /// A power of two.
    Two(u32),
}

pub(super) fn parse(text: &str) -> Result<Quantity, ParseQuantityError> {
    split(text)?.value()
}

pub(super) fn kept_text(text: &str) -> Result<String, ParseQuantityError> {
    let parts = split(text)?;
    let value = parts.value()?;
    Ok(if parts.is_kept() { text.to_owned() } else { value.to_string() })
}

fn split(text: &str) -> Result<Parts<'_>, ParseQuantityError> {
    if text.is_empty() {
        return Err(ParseQuantityError::Format);
    }
    let (negative, number) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let significant = number.trim_start_matches('0');
    let (whole, rest) = digits(significant);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    check_suffix(suffix)?;
    let scale = scale(suffix)?;
    let has_digits = significant.len() < number.len() || !whole.is_empty() || !fraction.is_empty();
    Ok(Parts { negative, whole: if whole.is_empty() { "0" } else { whole }, fraction, scale, has_digits })
}

/// Splits after the leading digits.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Letters, then a sign, then digits: else the whole text has the wrong format, whatever the suffix.
fn check_suffix(suffix: &str) -> Result<(), ParseQuantityError> {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    if digits(rest).1.is_empty() { Ok(()) } else { Err(ParseQuantityError::Format) }
}

fn scale(suffix: &str) -> Result<Scale, ParseQuantityError> {
    Ok(match suffix {
        "" => Scale::Ten(0),
        "n" => Scale::Ten(-9),
        "u" => Scale::Ten(-6),
        "m" => Scale::Ten(-3),
        "k" => Scale::Ten(3),
        "M" => Scale::Ten(6),
        "G" => Scale::Ten(9),
        "T" => Scale::Ten(12),
        "P" => Scale::Ten(15),
        "E" => Scale::Ten(18),
        "Ki" => Scale::Two(10),
        "Mi" => Scale::Two(20),
        "Gi" => Scale::Two(30),
        "Ti" => Scale::Two(40),
        "Pi" => Scale::Two(50),
        "Ei" => Scale::Two(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).and_then(|text| text.parse().ok());
            Scale::Exponent(exponent.ok_or(ParseQuantityError::Suffix)?)
        }
    })
}

impl Parts<'_> {
    fn value(&self) -> Result<Quantity, ParseQuantityError> {
        if !self.has_digits && !self.is_small() {
            return Err(ParseQuantityError::Numeric);
        }
        let magnitude = match self.scale {
            Scale::Ten(exponent) => self.decimal(exponent, Form::Decimal),
            Scale::Exponent(exponent) => self.decimal(exponent, Form::Exponent),
            Scale::Two(exponent) => self.binary(exponent),
        }?;
        Ok(Quantity {
            mantissa: if self.negative { -magnitude.mantissa } else { magnitude.mantissa },
            ..magnitude
        })
    }

    fn decimal(&self, exponent: i32, form: Form) -> Result<Quantity, ParseQuantityError> {
        // Zeros at the end cost digits and say nothing.
        let fraction = self.fraction.trim_end_matches('0');
        let whole = if fraction.is_empty() { self.whole.trim_end_matches('0') } else { self.whole };
        let stripped = (self.whole.len() - whole.len()) as i64;
        let exponent = i64::from(exponent) + stripped - fraction.len() as i64;

        // Digits finer than a billionth only round: away from zero, if any is not 0.
        let count = (whole.len() + fraction.len()) as i64;
        let surplus = (i64::from(NANO) - exponent).clamp(0, count) as usize;
        let kept = whole.len() + fraction.len() - surplus;
        let all = || whole.bytes().chain(fraction.bytes());
        let rounded = all().skip(kept).any(|digit| digit != b'0');
        let mantissa = read_digits(all().take(kept))?
            .checked_add(i128::from(rounded))
            .ok_or(ParseQuantityError::Digits)?;
        let exponent = exponent.max(i64::from(NANO));
        let exponent = i32::try_from(exponent).map_err(|_| ParseQuantityError::Suffix)?;
        Ok(Quantity::normal(mantissa, exponent, form))
    }

    fn binary(&self, exponent: u32) -> Result<Quantity, ParseQuantityError> {
        let factor = 1i128 << exponent;
        let cap = Quantity::normal(BINARY_CAP, 0, Form::Binary);
        match read_digits(self.whole.bytes()).map(|whole| whole.checked_mul(factor)) {
            Ok(Some(whole)) if whole <= BINARY_CAP => {}
            _ => return Ok(cap),
        }
        let fraction = self.fraction.trim_end_matches('0');
        let scaled = read_digits(self.whole.bytes().chain(fraction.bytes()))?
            .checked_mul(factor)
            .ok_or(ParseQuantityError::Digits)?;
        // scaled * 10^-len, in billionths, rounded up.
        let unit = i32::try_from(fraction.len()).map_err(|_| ParseQuantityError::Digits)?;
        let value = match u32::try_from(unit + NANO) {
            Ok(surplus) if surplus > 0 => {
                let divisor = 10i128.checked_pow(surplus).ok_or(ParseQuantityError::Digits)?;
                let up = i128::from(scaled % divisor != 0);
                Quantity::normal(scaled / divisor + up, NANO, Form::Binary)
            }
            _ => Quantity::normal(scaled, -unit, Form::Binary),
        };
        if value > cap {
            return Ok(cap);
        }
        let below_one = value < Quantity::from(1) && !value.is_zero();
        Ok(Quantity { form: if below_one { Form::Decimal } else { Form::Binary }, ..value })
    }

    /// Whether apimachinery computes this number in 64 bits.
    fn is_small(&self) -> bool {
        let digits = self.whole.len() + self.fraction.len();
        match self.scale {
            Scale::Ten(_) | Scale::Exponent(_) => digits <= 18 && self.unit() >= i64::from(NANO),
            Scale::Two(exponent) => self.fraction.is_empty() && digits + exponent as usize * 3 / 10 <= 14,
        }
    }

    /// Whether apimachinery keeps the text instead of canonicalising it: by its looks. An exponent that has a suffix, no
    /// three zeros at the end, no zero in front; for powers of two, no factor of eight.
    fn is_kept(&self) -> bool {
        let looks_canonical = match self.scale {
            Scale::Ten(_) | Scale::Exponent(_) => {
                let zeros = self.digits().rev().take_while(|digit| *digit == b'0').count();
                self.unit() % 3 == 0 && zeros < 3 && !self.whole.starts_with('0')
            }
            Scale::Two(_) => self.whole.parse().is_ok_and(|value: u64| !value.is_multiple_of(8)),
        };
        self.is_small() && looks_canonical
    }

    /// The power of ten of the last digit; of powers of two, before they multiply.
    fn unit(&self) -> i64 {
        let exponent = match self.scale {
            Scale::Ten(exponent) | Scale::Exponent(exponent) => exponent,
            Scale::Two(_) => 0,
        };
        i64::from(exponent) - self.fraction.len() as i64
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }
}

/// The number that the digits write.
fn read_digits(digits: impl Iterator<Item = u8>) -> Result<i128, ParseQuantityError> {
    digits.into_iter().try_fold(0i128, |number, digit| {
        number
            .checked_mul(10)
            .and_then(|number| number.checked_add(i128::from(digit - b'0')))
            .ok_or(ParseQuantityError::Digits)
    })
}
