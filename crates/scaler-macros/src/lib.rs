//! The derive that makes a config struct the only declaration of a trigger's parameters.
