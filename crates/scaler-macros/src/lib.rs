//! The derives that make a config struct the only declaration of a trigger's parameters.
//!
//! What the attributes mean is documented where they are used, in `keda_scaler::config`. Whatever cannot work is refused
//! here, at compile time: an unknown word, a parameter without a source, one without a doc comment (it is the reference
//! text), a group with sources of its own.

mod attributes;
mod config;
mod words;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct the declaration of a trigger's parameters. See `keda_scaler::config`.
#[proc_macro_derive(TriggerConfig, attributes(param, config))]
pub fn trigger_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    config::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum of unit variants a set of words that a parameter can hold. A variant's word is its name in lower camel
/// case, or `#[word("...")]`.
#[proc_macro_derive(Words, attributes(word))]
pub fn words(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    words::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
