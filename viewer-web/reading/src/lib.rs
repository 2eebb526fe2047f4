//! Reading and reporting: who may do what, worklist, report, signature, recognition.
