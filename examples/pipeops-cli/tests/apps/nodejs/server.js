const express = require('express');

const app = express();
app.get('/', (_request, response) => response.send('version one'));
const server = app.listen(process.env.PORT || 3000);
process.on('SIGTERM', () => server.close());
