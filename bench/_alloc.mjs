
import { SERVERS } from './servers.mjs'; import { PerformanceObserver } from 'node:perf_hooks'; import v8 from 'node:v8';
const [name, upstreamPort] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
let used=0, last=0, gcs=0;
process.on('message', () => { process.send({cpu:0, alloc: gcs}); });
new PerformanceObserver((l)=>{gcs+=l.getEntries().filter(e=>e.detail.kind===1).length}).observe({entryTypes:['gc']});
const server = await SERVERS[name].start({ upstreamPort }); if (!server.listening) await new Promise((r) => server.on('listening', r)); process.send(server.address().port);
