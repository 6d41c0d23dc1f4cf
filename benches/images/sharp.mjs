// sharp for scripts/bench-images.sh: the line protocol of crates/image-engine/examples/bench.rs, on one thread.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.cache(false);
sharp.concurrency(1);

for await (const line of createInterface({ input: process.stdin })) {
  const [file, out, ...words] = line.split(" ");
  const recipe = Object.fromEntries(words.map((word) => word.split("=")));
  const bytes = readFileSync(file);
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  let work = sharp(bytes, { limitInputPixels: 50_000_000 });
  if (recipe.width) work = work.resize(Number(recipe.width), Number(recipe.height), { fit: "fill" });
  if (recipe.format === "jpeg") work = work.jpeg({ quality: 80 });
  else if (recipe.format === "webp") work = work.webp({ quality: 80 });
  else work = work.png({ compressionLevel: 6 });
  const picture = await work.toBuffer();
  const ms = performance.now() - start;
  const used = process.cpuUsage(cpu);
  writeFileSync(out, picture);
  console.log(JSON.stringify({ ms, cpu: (used.user + used.system) / 1000, bytes: picture.length }));
}
