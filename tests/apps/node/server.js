// A web application of one page.
const express = require("express");

const app = express();
app.get("/:name", (request, response) => response.send(`hello ${request.params.name} from express\n`));
app.listen(8918, "127.0.0.1");
