//! `#[derive(TriggerConfig)]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type};

use crate::attributes::{self, Param};

/// A field and what is declared about it.
struct Member<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    param: Param,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let members = members(input)?;
    refuse_equal_names(&members)?;
    let check = attributes::check(&input.attrs)?;
    let name = &input.ident;

    let mut declarations = Vec::new();
    let mut lists = Vec::new();
    let mut reads = Vec::new();
    let mut values = Vec::new();
    let mut takes_all = false;
    for Member { ident, ty, param } in &members {
        if param.whole {
            takes_all = true;
            reads.push(quote!(#ident: lookup.whole()));
            continue;
        }
        if param.group {
            let optional = param.optional;
            lists.push(quote! {
                all.extend(<#ty as ::keda_scaler::config::TriggerConfig>::parameters().iter().cloned().map(|member| {
                    ::keda_scaler::config::Parameter { optional: member.optional || #optional, ..member }
                }));
            });
            reads.push(quote!(#ident: lookup.group::<#ty>(#optional)));
            values.push(quote!(::keda_scaler::config::TriggerConfig::values(&self.#ident, secrets, into);));
            continue;
        }
        let constant = format_ident!("P{}", declarations.len());
        let declaration = declaration(ty, param);
        let key = param.names.first().map(String::as_str).unwrap_or_default();
        declarations.push(quote!(const #constant: ::keda_scaler::config::Parameter = #declaration;));
        lists.push(quote!(all.push(#constant);));
        reads.push(quote!(#ident: lookup.parameter::<#ty>(&#constant)));
        values.push(quote! {
            if <#ty as ::keda_scaler::config::Value>::SHAPE != ::keda_scaler::config::Shape::Retired {
                into.insert(#key.to_owned(), ::keda_scaler::config::Value::to_json(&self.#ident, secrets));
            }
        });
    }
    let check = check.map(|check| {
        quote! {
            let rules: fn(&Self) -> ::core::result::Result<(), ::std::string::String> = #check;
            lookup.check(rules(&config));
        }
    });

    Ok(quote! {
        const _: () = {
            #(#declarations)*

            impl ::keda_scaler::config::TriggerConfig for #name {
                fn parameters() -> &'static [::keda_scaler::config::Parameter] {
                    static ALL: ::std::sync::LazyLock<::std::vec::Vec<::keda_scaler::config::Parameter>> =
                        ::std::sync::LazyLock::new(|| {
                            let mut all = ::std::vec::Vec::new();
                            #(#lists)*
                            all
                        });
                    &ALL
                }

                fn takes_all() -> bool {
                    #takes_all
                }

                fn read(lookup: &mut ::keda_scaler::config::Lookup<'_>) -> Self {
                    let config = Self { #(#reads),* };
                    #check
                    config
                }

                fn values(
                    &self,
                    secrets: ::keda_scaler::config::Secrets,
                    into: &mut ::keda_scaler::derive::Map<::std::string::String, ::keda_scaler::derive::Json>,
                ) {
                    #(#values)*
                }
            }
        };
    })
}

fn members(input: &DeriveInput) -> Result<Vec<Member<'_>>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a config is a struct; for a set of words derive Words"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "a config is a struct with named fields"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.ident.span(), "a config has no generics"));
    }
    let mut members = Vec::new();
    for field in &fields.named {
        if let Some(ident) = &field.ident {
            members.push(Member { ident, ty: &field.ty, param: Param::of(field, ident)? });
        }
    }
    Ok(members)
}

/// Two fields of one struct must not be read from one key: the second would never be seen as missing.
fn refuse_equal_names(members: &[Member<'_>]) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for member in members {
        for name in &member.param.names {
            if seen.contains(&name.as_str()) {
                return Err(Error::new(member.ident.span(), format!("`{name}` is declared twice")));
            }
            seen.push(name);
        }
    }
    Ok(())
}

fn declaration(ty: &Type, param: &Param) -> TokenStream {
    let Param { names, from, optional, one_of, exclusive, separator, doc, .. } = param;
    let default = option(param.default.as_deref().map(|text| quote!(#text)));
    let range = option(param.range.as_deref().map(|text| quote!(#text)));
    let removed = param.deprecated.as_deref().map(|why| deprecation("Removed", why));
    let announced = param.deprecated_announce.as_deref().map(|why| deprecation("Announced", why));
    let deprecation = option(removed.or(announced));
    let value = quote!(<#ty as ::keda_scaler::config::Value>);
    let one_of = if one_of.is_empty() { quote!(#value::WORDS) } else { quote!(&[#(#one_of),*]) };
    quote! {
        ::keda_scaler::config::Parameter {
            names: &[#(#names),*],
            from: &[#(::keda_scaler::config::Origin::#from),*],
            optional: #optional || #value::OPTIONAL,
            default: #default,
            one_of: #one_of,
            exclusive: &[#(#exclusive),*],
            separator: #separator,
            range: #range,
            deprecation: #deprecation,
            shape: #value::SHAPE,
            doc: #doc,
        }
    }
}

fn deprecation(variant: &str, why: &str) -> TokenStream {
    let variant = Ident::new(variant, Span::call_site());
    quote!(::keda_scaler::config::Deprecation::#variant(#why))
}

fn option(tokens: Option<TokenStream>) -> TokenStream {
    match tokens {
        Some(tokens) => quote!(::core::option::Option::Some(#tokens)),
        None => quote!(::core::option::Option::None),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(input: &DeriveInput) -> String {
        expand(input).expect_err("must be refused").to_string()
    }

    #[test]
    fn what_cannot_work_is_refused_at_compile_time() {
        let cases: [(DeriveInput, &str); 12] = [
            (
                parse_quote!(
                    enum Config {
                        A,
                    }
                ),
                "a config is a struct; for a set of words derive Words",
            ),
            (
                parse_quote!(
                    struct Config(String);
                ),
                "a config is a struct with named fields",
            ),
            (
                parse_quote!(
                    struct Config {
                        /** x */
                        a: String,
                    }
                ),
                "say where it is read from: #[param(from(metadata))]",
            ),
            (
                parse_quote!(
                    struct Config {
                        #[param(from(metadata))]
                        a: String,
                    }
                ),
                "a parameter needs a doc comment: it is the reference text",
            ),
            (
                parse_quote!(
                    struct Config {
                        /** x */
                        #[param(optional)]
                        a: String,
                    }
                ),
                "a parameter needs a source: `from(metadata)`, `from(auth)`, `from(env)` or several",
            ),
            (
                parse_quote!(
                    struct Config {
                        /** x */
                        #[param(from(metadata, vault))]
                        a: String,
                    }
                ),
                "a source is metadata, auth, env or variable",
            ),
            (
                parse_quote!(
                    struct Config {
                        /** x */
                        #[param(from(metadata), optionl)]
                        a: String,
                    }
                ),
                "unknown word; known are name, alias, from, optional, default, one_of, exclusive, separator, range, \
                 deprecated, deprecated_announce, group, whole",
            ),
            (
                parse_quote!(
                    struct Config {
                        #[param(whole, optional)]
                        a: Whole,
                    }
                ),
                "`whole` stands alone: it takes the metadata as it is",
            ),
            (
                parse_quote!(
                    struct Config {
                        #[param(group, default = 1)]
                        a: Auth,
                    }
                ),
                "`default` has no meaning for a group: its members are declared in its own type",
            ),
            (
                parse_quote!(
                    struct Config {
                        /** x */
                        #[param(from(metadata))]
                        server_address: String,
                        /** y */
                        #[param(name = "serverAddress", from(metadata))]
                        b: String,
                    }
                ),
                "`serverAddress` is declared twice",
            ),
            (
                parse_quote!(
                    struct Config {
                        /** x */
                        #[param(from(metadata), deprecated = "a", deprecated_announce = "b")]
                        a: String,
                    }
                ),
                "either `deprecated` (an error) or `deprecated_announce`, not both",
            ),
            (
                parse_quote!(
                    #[config(verify = Self::f)]
                    struct Config {
                        /** x */
                        #[param(from(env))]
                        a: String,
                    }
                ),
                "unknown word; known is check",
            ),
        ];
        for (input, text) in cases {
            assert_eq!(refusal(&input), text);
        }
    }

    #[test]
    fn names_follow_the_fields() {
        for (field, name) in [
            ("server_address", "serverAddress"),
            ("query", "query"),
            ("r#type", "type"),
            ("ApiKey", "apiKey"),
        ] {
            assert_eq!(attributes::lower_camel(field), name);
        }
    }
}
