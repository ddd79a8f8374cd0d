// Requests to the exporter.

// An Unreachable is the error of a request without a complete response.
export class Unreachable extends Error {}

export const last = {response: 0}; // Unix time of the last response

// request returns the status of a response, and the values of its JSON or the text of an error.
export async function request(path) {
  try {
    const response = await fetch('api/v1/' + path, {cache: 'no-store', signal: AbortSignal.timeout(15000)});
    last.response = Date.now() / 1000;
    const {ok, status, statusText} = response;
    return {ok, status, statusText, ...ok ? {report: await response.json()} : {text: await response.text()}};
  } catch (err) {
    throw new Unreachable(String(err));
  }
}
