"""Checks requests and responses against the served OpenAPI document."""

import copy
import re
from functools import cache, reduce
from operator import getitem

import jsonschema
import orjson
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


def check(view, request, response):
    """AssertionError if a response, or a request that succeeded, does not match the document."""
    if type(view).__name__ == "UnsupportedEndpoint":
        return
    route = request.resolver_match.route.removeprefix("api/")
    path, method = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route), request.method.lower()
    operation = document()["paths"].get(path, {}).get(method)
    if operation is None:
        assert response.status_code >= 400, f"{method} {path} is not described"
        return
    place = f"paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
    if response.status_code < 400 and request.META.get("HTTP_X_BATCH_VALIDATION") != "permissive":
        _check_request(operation, place, request)
    _check_response(operation, place, response)


@cache
def document():
    from drf_spectacular.generators import SchemaGenerator  # once Django is set up

    return orjson.loads(orjson.dumps(SchemaGenerator().get_schema(public=True)))


def _check_request(operation, place, request):
    described = operation.get("requestBody")
    is_json = request.content_type == "application/json"
    if described is None or not is_json or not (described.get("required") or request.data):
        return
    at = f"{place}/requestBody/content/application~1json/schema"
    _check(at, _with_php_maps(at, request.data))


def _with_php_maps(place, value):
    """Described are maps; the API also takes PHP's spelling of an empty one, which is `[]`."""
    value = copy.deepcopy(value)
    for error in list(_validator(place).iter_errors(value)):
        if error.instance == [] and error.absolute_path:
            *parents, name = error.absolute_path
            reduce(getitem, parents, value)[name] = {}
    return value


def _check_response(operation, place, response):
    responses, status = operation["responses"], str(response.status_code)
    known = next((each for each in (status, f"{status[0]}XX") if each in responses), None)
    assert known, f"{place}: a {status} response is not described"
    if not hasattr(response, "data"):
        return
    if "$ref" in responses[known]:
        place = responses[known]["$ref"].removeprefix("#/")
    else:
        place = f"{place}/responses/{known}"
    _check(f"{place}/content/application~1json/schema", orjson.loads(orjson.dumps(response.data)))


def _check(place, value):
    error = jsonschema.exceptions.best_match(_validator(place).iter_errors(value))
    assert error is None, f"{place}: {error.json_path}: {error.message}"


@cache
def _validator(place):
    resource = Resource(contents=document(), specification=DRAFT202012)
    registry = Registry().with_resource("openapi", resource)
    return jsonschema.Draft202012Validator({"$ref": f"openapi#/{place}"}, registry=registry)
