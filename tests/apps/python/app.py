"""A web application of one page."""

import flask

app = flask.Flask(__name__)


@app.get("/<name>")
def greet(name: str) -> str:
    """A greeting."""
    return f"hello {name} from flask\n"
