//! `ressort evaluate` from outside: data and models in, table, files and exit code out.
