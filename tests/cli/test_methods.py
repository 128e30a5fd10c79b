from helpers.collecting import fails, jsonl, run
from nphash.hashers import METHODS


def test_all_methods_are_listed():
    records = jsonl(run("methods").out)
    assert [record["method"] for record in records] == list(METHODS)
    assert all(record["description"] for record in records)
    assert run("methods", "--format", "table").out.startswith("method")


def test_parameters_of_one():
    records = {record["parameter"]: record for record in jsonl(run("methods", "doc2hash").out)}
    assert records["n_bits"] == {"parameter": "n_bits", "type": "whole number", "default": "32"}
    assert records["training__epochs"]["type"] == "whole number"
    assert run("methods", "doc2hash", "--format", "csv").out.startswith("parameter,type,default\n")


def test_epochs_that_follow_the_corpus_say_so():
    records = {record["parameter"]: record for record in jsonl(run("methods", "nphash").out)}
    assert records["training__epochs"]["default"] == "by corpus size"


def test_an_unknown_one():
    fails(1, "methods", "doc3hash", says=["no method 'doc3hash'", "doc2hash"])
