//! What a trigger is: parameters, plan, source, errors, and the environment it runs in.
