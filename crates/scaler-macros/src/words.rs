//! `#[derive(Words)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result};

use crate::attributes::lower_camel;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a set of words is an enum"));
    };
    let mut variants = Vec::new();
    let mut words = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(variant.ident.span(), "a word holds no data"));
        }
        let given = variant.attrs.iter().find(|attribute| attribute.path().is_ident("word"));
        words.push(match given {
            Some(attribute) => attribute.parse_args::<LitStr>()?.value(),
            None => lower_camel(&variant.ident.to_string()),
        });
        variants.push(&variant.ident);
    }
    let Some(first) = variants.first() else {
        return Err(Error::new(input.ident.span(), "a set of words has at least one"));
    };
    let name = &input.ident;
    Ok(quote! {
        impl #name {
            /// The word as manifests write it.
            pub fn as_str(self) -> &'static str {
                match self {
                    #(Self::#variants => #words),*
                }
            }
        }

        impl ::keda_scaler::config::Value for #name {
            const SHAPE: ::keda_scaler::config::Shape = ::keda_scaler::config::Shape::Word;
            const WORDS: &'static [&'static str] = &[#(#words),*];
            const NOUN: &'static str = "one of its words";

            fn empty() -> Self {
                Self::#first
            }

            fn parse(
                text: &str,
                _: &::keda_scaler::config::Parameter,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                match text {
                    #(#words => ::core::result::Result::Ok(Self::#variants),)*
                    _ => ::core::result::Result::Err(::std::format!("unknown word {text:?}")),
                }
            }

            fn to_json(&self, _: ::keda_scaler::config::Secrets) -> ::keda_scaler::derive::Json {
                ::keda_scaler::derive::Json::from(self.as_str())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn only_enums_of_plain_words() {
        let cases: [(DeriveInput, &str); 3] = [
            (
                parse_quote!(
                    struct Mode;
                ),
                "a set of words is an enum",
            ),
            (
                parse_quote!(
                    enum Mode {
                        A(u8),
                    }
                ),
                "a word holds no data",
            ),
            (
                parse_quote!(
                    enum Mode {}
                ),
                "a set of words has at least one",
            ),
        ];
        for (input, text) in cases {
            assert_eq!(expand(&input).expect_err("must be refused").to_string(), text);
        }
    }
}
